"""Compare bucket and database, repair differences, and rebuild the rows from the bucket."""

from videovault.services.maintenance.reconcile.rebuild import Rebuilt, rebuild
from videovault.services.maintenance.reconcile.report import Example, Findings, Group, Kind, Progress, Report
from videovault.services.maintenance.reconcile.runner import for_admin, reconcile

__all__ = [
    "Example",
    "Findings",
    "Group",
    "Kind",
    "Progress",
    "Rebuilt",
    "Report",
    "for_admin",
    "rebuild",
    "reconcile",
]
