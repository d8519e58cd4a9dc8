"""Backups: the database, the key file and the objects in one folder, and the way back."""

from videovault.services.backup.restoring import Restored, restore
from videovault.services.backup.saving import Saved, save
from videovault.services.backup.verifying import Findings, Verified, verify

__all__ = ["Findings", "Restored", "Saved", "Verified", "restore", "save", "verify"]
