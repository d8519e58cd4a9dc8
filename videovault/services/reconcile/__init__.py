"""What S3 holds against what the database says: compared, mended, and one rebuilt from the other."""

from videovault.services.reconcile.progress import Progress
from videovault.services.reconcile.rebuilding import Rebuilt, rebuild
from videovault.services.reconcile.report import Example, Findings, Group, Kind, Report
from videovault.services.reconcile.running import for_admin, reconcile

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
