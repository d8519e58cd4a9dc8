"""Backups: the database, the key file and the objects in one folder, and the way back."""

from videovault.services.maintenance.backup.restore import Restored, restore
from videovault.services.maintenance.backup.save import Findings, Saved, Verified, save, verify

__all__ = ["Findings", "Restored", "Saved", "Verified", "restore", "save", "verify"]
