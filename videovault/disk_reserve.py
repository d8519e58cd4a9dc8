"""Reserved space on the database's disk, so that signing in and deleting work while the disk is full.

Most of it lies inside SQLite's own files, where no other program can take it: free pages, and a write-ahead log long
enough to be overwritten. A file beside them is truncated if that is not enough.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from videovault import logs
from videovault.errors import DiskFull

RESERVE_BYTES = 8 * 1024**2  # thousands of rows, and twice SQLite's log
LOG_BYTES = 5 * 1024**2  # SQLite starts to overwrite its log at 1,000 pages
LOW_PAGE_BYTES = 256 * 1024
STEP_BYTES = 1024**2
# Non-essential writes leave this much free: more than a step, so that they do not use up a released step.
MIN_FREE_BYTES = 4 * 1024**2

log = logs.get(__name__)


@dataclass(frozen=True)
class DiskReserve:
    """The reserve of the SQLite file ``database``; ``page_bytes`` below is the size of its free pages."""

    database: Path

    @property
    def file(self) -> Path:
        return self.database.with_name(f"{self.database.name}.reserve")

    def check(self) -> None:
        """Raises DiskFull if a non-essential write would take space that essential writes need."""
        if self.free() < MIN_FREE_BYTES:
            raise DiskFull

    def is_full(self, page_bytes: int) -> bool:
        return page_bytes >= RESERVE_BYTES // 2 and self._log_bytes() >= LOG_BYTES

    def can_be_refilled(self) -> bool:
        """Whether the disk has room for a new reserve."""
        return self.free() >= 3 * RESERVE_BYTES + MIN_FREE_BYTES

    def release_step(self, page_bytes: int) -> None:
        """Truncate the file by a step if SQLite's files must grow for an essential write and cannot."""
        grows = page_bytes < LOW_PAGE_BYTES or self._log_bytes() < LOG_BYTES
        size = _size(self.file)
        if not grows or not size or self.free() >= STEP_BYTES:
            return
        left = max(0, size - STEP_BYTES)
        os.truncate(self.file, left)
        log.warning("the disk is full: using the reserve for signing in and deleting", bytes_left=left)

    def fill(self) -> None:
        """Restore the file to its full size."""
        missing = RESERVE_BYTES - _size(self.file)
        if missing > 0:
            with self.file.open("ab") as file:
                file.write(os.urandom(missing))  # a compressing file system stores zeros in no space

    def free(self) -> int:
        """Bytes that this process may still write to the disk."""
        return shutil.disk_usage(self.database.parent).free

    def _log_bytes(self) -> int:
        return _size(self.database.with_name(f"{self.database.name}-wal"))


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
