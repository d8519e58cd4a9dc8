"""What S3 holds against what the database says: compared, mended, and one rebuilt from the other."""

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
