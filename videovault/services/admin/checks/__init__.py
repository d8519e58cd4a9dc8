"""The parts that this installation stands on, each tried for real, with what is wrong and how to mend it."""

from videovault.services.admin.checks.object_store import BROWSER, Probe, begin, end, judge, unasked
from videovault.services.admin.checks.result import CheckView, StepView
from videovault.services.admin.checks.run import CHECKS, applicable, begun, check

__all__ = [
    "BROWSER",
    "CHECKS",
    "CheckView",
    "Probe",
    "StepView",
    "applicable",
    "begin",
    "begun",
    "check",
    "end",
    "judge",
    "unasked",
]
