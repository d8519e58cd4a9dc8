"""Space on the database's disk that is kept back: signing in and deleting go on when the disk is full."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from videovault import logs
from videovault.errors import DiskFull

# SQLite's log of changes grows to 4 MB before it is written over; the rest is room for thousands of rows.
RESERVE_BYTES = 8 * 1024**2
STEP_BYTES = 1024**2
# Writes that can wait leave so much free. It is more than a step, so that they do not use what is given free.
LEAST_FREE_BYTES = 4 * 1024**2

log = logs.get(__name__)


@dataclass(frozen=True)
class DiskReserve:
    """A file beside the SQLite file ``database`` that takes up ``RESERVE_BYTES``, and is cut when they are needed."""

    database: Path

    @property
    def file(self) -> Path:
        return self.database.with_name(f"{self.database.name}.reserve")

    def check(self) -> None:
        """Raises DiskFull when a write that can wait would take what essential writes need."""
        if self.free() < LEAST_FREE_BYTES:
            raise DiskFull

    def open_up(self) -> None:
        """Give a step of the reserve free if an essential write would find no room."""
        kept = self._kept()
        if self.free() >= STEP_BYTES or not kept:
            return
        left = max(0, kept - STEP_BYTES)
        os.truncate(self.file, left)
        log.warning("the disk is full: the reserve for signing in and deleting is used", bytes_left=left)

    def fill(self) -> None:
        """Take up what is missing of the reserve, as far as the disk has plenty."""
        missing = RESERVE_BYTES - self._kept()
        if missing <= 0 or self.free() < missing + 2 * LEAST_FREE_BYTES:
            return
        with self.file.open("ab") as file:
            file.write(os.urandom(missing))  # zeros would take up nothing on a file system that compresses

    def free(self) -> int:
        """Bytes that this process may still write to the disk."""
        return shutil.disk_usage(self.database.parent).free

    def _kept(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0
