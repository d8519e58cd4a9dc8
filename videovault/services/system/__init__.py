"""The parts that this installation stands on, each tried for real, with what is wrong and how to mend it."""

from videovault.services.system.browser import BROWSER, Probe, begin, end, judge, unasked
from videovault.services.system.checks import CHECKS, applicable, begun, check
from videovault.services.system.outcome import CheckView, StepView

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
