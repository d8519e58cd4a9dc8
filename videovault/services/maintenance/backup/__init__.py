"""Backups: the database, the key file and the objects in one folder, and the way back."""

from videovault.services.maintenance.backup.restoring import Restored, restore
from videovault.services.maintenance.backup.saving import Saved, save
from videovault.services.maintenance.backup.verifying import Findings, Verified, verify

__all__ = ["Findings", "Restored", "Saved", "Verified", "restore", "save", "verify"]
