"""Space on the database's disk that is kept back: signing in and deleting go on when the disk is full.

Most of it lies inside SQLite's own files, where no other program can take it: pages that are free, and a log of
changes that is long enough to be written over. A file beside them is cut where that does not do.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from videovault import logs
from videovault.errors import DiskFull

RESERVE_BYTES = 8 * 1024**2  # thousands of rows, and twice SQLite's log
LOG_BYTES = 5 * 1024**2  # at 1,000 pages SQLite begins to write over it
LOW_PAGE_BYTES = 256 * 1024
STEP_BYTES = 1024**2
# Writes that can wait leave so much free. It is more than a step, so that they do not use what is given free.
MIN_FREE_BYTES = 4 * 1024**2

log = logs.get(__name__)


@dataclass(frozen=True)
class DiskReserve:
    """Of the SQLite file ``database``; ``page_bytes`` below are what its free pages take up."""

    database: Path

    @property
    def file(self) -> Path:
        return self.database.with_name(f"{self.database.name}.reserve")

    def check(self) -> None:
        """Raises DiskFull when a write that can wait would take what essential writes need."""
        if self.free() < MIN_FREE_BYTES:
            raise DiskFull

    def is_whole(self, page_bytes: int) -> bool:
        return page_bytes >= RESERVE_BYTES // 2 and self._log_bytes() >= LOG_BYTES

    def has_plenty(self) -> bool:
        """Whether the disk has room for a new reserve."""
        return self.free() >= 3 * RESERVE_BYTES + MIN_FREE_BYTES

    def open_up(self, page_bytes: int) -> None:
        """Cut the file by a step if SQLite's own files have to grow for an essential write and cannot."""
        grows = page_bytes < LOW_PAGE_BYTES or self._log_bytes() < LOG_BYTES
        kept = self._kept()
        if not grows or not kept or self.free() >= STEP_BYTES:
            return
        left = max(0, kept - STEP_BYTES)
        os.truncate(self.file, left)
        log.warning("the disk is full: the reserve for signing in and deleting is used", bytes_left=left)

    def fill(self) -> None:
        """Make the file whole again."""
        missing = RESERVE_BYTES - self._kept()
        if missing > 0:
            with self.file.open("ab") as file:
                file.write(
                    os.urandom(missing)
                )  # zeros would take up nothing on a file system that compresses

    def free(self) -> int:
        """Bytes that this process may still write to the disk."""
        return shutil.disk_usage(self.database.parent).free

    def _kept(self) -> int:
        return _size(self.file)

    def _log_bytes(self) -> int:
        return _size(self.database.with_name(f"{self.database.name}-wal"))


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
