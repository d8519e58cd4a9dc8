"""Backups: database, key file and objects in one folder, and their restore."""
