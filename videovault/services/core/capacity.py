"""Room for a video while it comes in: in its owner's quota, and on the disk of the embedded S3."""

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
)  # so often the disk is looked at, and so much is reserved ahead of an unknown length
MARGIN_BYTES = 512 * 1024**2  # stays free: databases, logs and whatever else lives on the same disk need it


class SpaceReservation:
    """What one transfer may take. Called from several threads."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self._lock = Lock()
        self._reserved = 0
        self._look_at = 0

    def begin(self, total: int | None) -> None:
        """Reserve the ``total`` bytes, or a first step where nobody knows how many will come.

        Raises QuotaExceeded, or DiskFull.
        """
        with self._lock:
            check_s3_disk_space(total or STEP_BYTES)
            self._look_at = STEP_BYTES
            if total is None:
                self._reserved = quota.reserve(self._video, STEP_BYTES, least=1)
            else:
                self._reserved = quota.reserve(self._video, total, least=total)

    def took(self, bytes_done: int) -> None:
        """So many bytes have come in all. Raises as ``begin`` does once they are too many."""
        if bytes_done <= self._reserved and bytes_done < self._look_at:
            return
        with self._lock:
            if bytes_done > self._reserved:
                self._reserved = quota.reserve(self._video, bytes_done + STEP_BYTES, least=bytes_done)
            if bytes_done >= self._look_at:
                check_s3_disk_space(0)
                self._look_at = bytes_done + STEP_BYTES


def temporary_file() -> BinaryIO:
    """A file without a name, beside the database: on the disk where room is kept free."""
    folder = settings().data_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)


def free_spool_bytes(written: int = 0) -> int:
    """How many more bytes a file that goes from DATA_DIR into S3 may have, beside the ``written`` ones; maybe negative.

    The embedded S3 keeps it on the same disk once more.
    """
    free = shutil.disk_usage(settings().data_dir).free - MARGIN_BYTES
    return (free - written) // 2 if settings().uses_embedded_s3 else free


def check_s3_disk_space(needed: int) -> None:
    """Raises DiskFull when ``needed`` bytes would fill the embedded S3's disk; another S3 sees to its own."""
    if not settings().uses_embedded_s3:
        return
    free = shutil.disk_usage(settings().data_dir).free
    if free < needed + MARGIN_BYTES:
        raise DiskFull(
            f"The disk is full: {format_size(free)} are free, and {format_size(needed + MARGIN_BYTES)} are needed. "
            "Ask the admin for more room, then try again."
        )
