"""What accounts store and may store: the numbers of videos and bytes, the quota of an account, and the disk.

The numbers are read from counters: none of them counts rows. Transfers reserve their space before they begin.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, BinaryIO

from sqlalchemy import text
from sqlmodel import Session, case, col, func, select

from videovault import counters, logs
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import QuotaExceeded
from videovault.formatting import format_size
from videovault.models import Counter, Status, User, Video
from videovault.services.core import lifecycle
from videovault.services.core.views import PUBLIC_STATUS, PublicStatus

# The size of a stored video with its playable copy, or the reservation of one in progress.
BYTES_STORED = func.coalesce(col(Video.size), 0) + func.coalesce(col(Video.copy_size), 0)
BYTES_USED = case((col(Video.status) == Status.READY, BYTES_STORED), else_=col(Video.reserved_bytes))
MAX_VIDEOS = 50_000
# The disk is checked this often, and this much is reserved ahead of an unknown length.
STEP_BYTES = 64 * 1024**2
USED_BYTES = col(Counter.ready_bytes) + col(Counter.copy_bytes) + col(Counter.reserved_bytes)
_COLUMNS: tuple[Any, ...] = tuple(getattr(Counter, name) for name in counters.COLUMNS)
log = logs.get(__name__)


@dataclass(frozen=True)
class Counts:
    """Of one account or of all: ``by_state`` has every status; ``used_bytes`` count towards a quota."""

    accounts: int
    by_state: Mapping[Status, int]
    ready_bytes: int
    copy_bytes: int
    reserved_bytes: int

    @property
    def videos(self) -> int:
        return sum(self.by_state.values())

    @cached_property
    def by_public_status(self) -> dict[PublicStatus, int]:
        """Without videos that are being deleted."""
        counted: dict[PublicStatus, int] = dict.fromkeys(PUBLIC_STATUS.values(), 0)
        for status, public in PUBLIC_STATUS.items():
            counted[public] += self.by_state[Status(status)]
        return counted

    @property
    def stored_bytes(self) -> int:
        """Of ready videos and their playable copies."""
        return self.ready_bytes + self.copy_bytes

    @property
    def used_bytes(self) -> int:
        return self.stored_bytes + self.reserved_bytes


def counts_of(session: Session, user_id: str) -> Counts:
    row = session.connection().execute(select(*_COLUMNS).where(col(Counter.scope) == user_id)).first()
    return _counts(row or [0] * len(_COLUMNS))


def counts_of_row(row: Counter) -> Counts:
    return _counts([getattr(row, name) for name in counters.COLUMNS])


def counts_of_all(session: Session) -> Counts:
    sums = [func.coalesce(func.sum(column), 0) for column in _COLUMNS]
    scope = col(Counter.scope)
    totals = scope >= counters.TOTAL_PREFIX, scope < counters.TOTAL_PREFIX + "~"
    return _counts(session.connection().execute(select(*sums).where(*totals)).one())


def _counts(values: Any) -> Counts:
    accounts, *numbers = map(int, values)
    by_state = {Status(name): number for name, number in zip(counters.STATES, numbers, strict=False)}
    return Counts(accounts, by_state, *numbers[len(counters.STATES) :])


def limit(user: User) -> int:
    """The account's quota in bytes; 0: unlimited."""
    return settings().default_quota_bytes if user.quota_bytes is None else user.quota_bytes


def used(session: Session, user_id: str, *, excluding: str = "") -> int:
    """Bytes that the user's videos occupy or have reserved, without the video ``excluding``."""
    used_bytes = counts_of(session, user_id).used_bytes
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
    if counts_of(session, user_id).videos + adding > MAX_VIDEOS:
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
            _check_s3_disk_space(total or STEP_BYTES)
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
                _check_s3_disk_space(0)
                self._next_check = bytes_done + STEP_BYTES


def _check_s3_disk_space(needed: int) -> None:
    from videovault.gateways.storage import (
        check_s3_disk_space,
    )  # imports the S3 client, which counting does not need

    check_s3_disk_space(needed)


def temporary_file() -> BinaryIO:
    """An unnamed file in DATA_DIR, on the disk where space is kept free."""
    folder = settings().data_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)


def free_spool_bytes(written: int = 0) -> int:
    """How many more bytes a file on its way from DATA_DIR to S3 may take beyond ``written``; may be negative.

    With the embedded S3 it is on the same disk twice.
    """
    from videovault.gateways.storage import MARGIN_BYTES

    free = shutil.disk_usage(settings().data_dir).free - MARGIN_BYTES
    return (free - written) // 2 if settings().uses_embedded_s3 else free


def _does_not_fit(total: int | None, left: int, quota: int) -> QuotaExceeded:
    video = f"This video of {format_size(total)}" if total else "This video"
    return QuotaExceeded(
        f"{video} does not fit into the account: {format_size(left)} of {format_size(quota)} are left. "
        "Delete other videos to make room, then try again."
    )


# Counters can only be wrong after someone has changed the database by hand.


def recount() -> int:
    """Count the rows of every account again, while others write, and correct the totals; the number of wrong accounts."""
    wrong = 0
    last: str | None = ""
    while last is not None:
        was_wrong, last = _recount_next(last)
        wrong += was_wrong
    with transaction() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.connection().execute(text("LOCK TABLE counters IN SHARE ROW EXCLUSIVE MODE"))
        counters.recount_totals(session.connection())
    return wrong


def recount_next() -> None:
    """Count the rows of one account again: of the next one at each call, so that all are counted in time."""
    _, _last_recounted[0] = _recount_next(_last_recounted[0] or "")


_last_recounted: list[str | None] = [""]


def _recount_next(last: str) -> tuple[bool, str | None]:
    """Whether the counters of the account after ``last`` were wrong, and its id; None after the last account."""
    with reading() as session:
        following = select(User.id).where(col(User.id) > last).order_by(col(User.id)).limit(1)
        user_id = session.exec(following).first()
    if user_id is None:
        return False, None
    with transaction() as session:
        was_wrong = counters.recount_account(session.connection(), user_id)
    if was_wrong:
        log.warning("the counters of an account were wrong and are corrected", user_id=user_id)
    return was_wrong, user_id
