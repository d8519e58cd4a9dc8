"""Space for a video during its transfer: in its owner's quota, and on the disk of the embedded S3."""

import shutil
import tempfile
from threading import Lock
from typing import BinaryIO

from videovault.config import settings
from videovault.errors import DiskFull
from videovault.formatting import format_size
from videovault.models import Video
from videovault.services.core import quota

STEP_BYTES = (
    64 * 1024**2
)  # the disk is checked this often, and this much is reserved ahead of an unknown length
MARGIN_BYTES = 512 * 1024**2  # stays free for databases, logs and other programs on the same disk


class SpaceReservation:
    """The space of one transfer. Thread-safe."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self._lock = Lock()
        self._reserved = 0
        self._next_check = 0

    def begin(self, total: int | None) -> None:
        """Reserve ``total`` bytes, or a first step if the length is unknown. Raises QuotaExceeded, DiskFull."""
        with self._lock:
            check_s3_disk_space(total or STEP_BYTES)
            self._next_check = STEP_BYTES
            if total is None:
                self._reserved = quota.reserve(self._video, STEP_BYTES, least=1)
            else:
                self._reserved = quota.reserve(self._video, total, least=total)

    def took(self, bytes_done: int) -> None:
        """Note the number of bytes received so far. Raises as ``begin`` does once they are too many."""
        if bytes_done <= self._reserved and bytes_done < self._next_check:
            return
        with self._lock:
            if bytes_done > self._reserved:
                self._reserved = quota.reserve(self._video, bytes_done + STEP_BYTES, least=bytes_done)
            if bytes_done >= self._next_check:
                check_s3_disk_space(0)
                self._next_check = bytes_done + STEP_BYTES


def temporary_file() -> BinaryIO:
    """An unnamed file in DATA_DIR, on the disk where space is kept free."""
    folder = settings().data_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)


def free_spool_bytes(written: int = 0) -> int:
    """How many more bytes a file on its way from DATA_DIR to S3 may take beyond ``written``; may be negative.

    With the embedded S3 it is on the same disk twice.
    """
    free = shutil.disk_usage(settings().data_dir).free - MARGIN_BYTES
    return (free - written) // 2 if settings().uses_embedded_s3 else free


def check_s3_disk_space(needed: int) -> None:
    """Raises DiskFull if ``needed`` bytes would fill the embedded S3's disk; any other S3 has its own."""
    if not settings().uses_embedded_s3:
        return
    free = shutil.disk_usage(settings().data_dir).free
    if free < needed + MARGIN_BYTES:
        raise DiskFull(
            f"The disk is full: {format_size(free)} are free, and {format_size(needed + MARGIN_BYTES)} are needed. "
            "Ask the admin for more room, then try again."
        )
