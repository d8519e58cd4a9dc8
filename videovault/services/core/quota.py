"""Space for videos: the quota of an account, in which transfers reserve theirs before they begin, and the disk."""

import shutil
import tempfile
from threading import Lock
from typing import BinaryIO

from sqlmodel import Session, case, col, func, select

from videovault.config import settings
from videovault.db import transaction
from videovault.errors import DiskFull, QuotaExceeded
from videovault.formatting import format_size
from videovault.models import Status, User, Video
from videovault.services.core import counts, lifecycle

# The size of a stored video with its playable copy, or the reservation of one in progress.
BYTES_STORED = func.coalesce(col(Video.size), 0) + func.coalesce(col(Video.copy_size), 0)
BYTES_USED = case((col(Video.status) == Status.READY, BYTES_STORED), else_=col(Video.reserved_bytes))
MAX_VIDEOS = 50_000
# The disk is checked this often, and this much is reserved ahead of an unknown length.
STEP_BYTES = 64 * 1024**2
MARGIN_BYTES = 512 * 1024**2  # stays free for databases, logs and other programs on the same disk


def limit(user: User) -> int:
    """The account's quota in bytes; 0: unlimited."""
    return settings().default_quota_bytes if user.quota_bytes is None else user.quota_bytes


def used(session: Session, user_id: str, *, excluding: str = "") -> int:
    """Bytes that the user's videos occupy or have reserved, without the video ``excluding``."""
    used_bytes = counts.of_account(session, user_id).used_bytes
    if excluding:
        own = select(BYTES_USED).where(Video.owner_id == user_id, Video.id == excluding)
        used_bytes -= int(session.exec(own).first() or 0)
    return used_bytes


def remaining(session: Session, user_id: str) -> int | None:
    """Bytes that may still be stored; None: unlimited."""
    quota = limit(session.get_one(User, user_id))
    return max(0, quota - used(session, user_id)) if quota else None


def check_quota(session: Session, user_id: str) -> None:
    """Raises QuotaExceeded if the account is full or has the maximum number of videos."""
    check_video_count(session, user_id)
    quota = limit(session.get_one(User, user_id))
    taken = used(session, user_id)
    if quota and taken >= quota:
        raise QuotaExceeded(
            f"The account is full: {format_size(taken)} of {format_size(quota)} are used. Delete videos to make room."
        )


def check_video_count(session: Session, user_id: str, *, adding: int = 0) -> None:
    """Raises QuotaExceeded if the account would have more than ``MAX_VIDEOS`` rows, including drafts and failed ones."""
    if counts.of_account(session, user_id).videos + adding > MAX_VIDEOS:
        raise QuotaExceeded(f"The account has {MAX_VIDEOS:,} videos, the maximum. Delete some first.")


def reserve(video: Video, wanted: int, *, least: int) -> int:
    """Reserve ``wanted`` bytes for a transfer, or what is left if that is at least ``least``.

    Returns the reserved bytes, including those of earlier calls. Raises QuotaExceeded. If the worker has lost the
    video, nothing is reserved; its next heartbeat finds that out.
    """
    with transaction(essential=True) as session:  # the transfer is in progress
        # The lock on the owner's row keeps two transfers from reserving the same bytes.
        owner = session.get_one(User, video.owner_id, with_for_update={"key_share": True})
        quota = limit(owner)
        left = quota - used(session, owner.id, excluding=video.id) if quota else wanted
        if left < least:
            raise _does_not_fit(wanted if wanted == least else None, max(left, 0), quota)
        granted = min(wanted, left)
        lifecycle.update_if_unchanged(session, video, reserved_bytes=granted)
    return granted


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
                self._reserved = reserve(self._video, STEP_BYTES, least=1)
            else:
                self._reserved = reserve(self._video, total, least=total)

    def took(self, bytes_done: int) -> None:
        """Note the number of bytes received so far. Raises as ``begin`` does once they are too many."""
        if bytes_done <= self._reserved and bytes_done < self._next_check:
            return
        with self._lock:
            if bytes_done > self._reserved:
                self._reserved = reserve(self._video, bytes_done + STEP_BYTES, least=bytes_done)
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


def _does_not_fit(total: int | None, left: int, quota: int) -> QuotaExceeded:
    video = f"This video of {format_size(total)}" if total else "This video"
    return QuotaExceeded(
        f"{video} does not fit into the account: {format_size(left)} of {format_size(quota)} are left. "
        "Delete other videos to make room, then try again."
    )
