"""How much an account may store: what lies there counts, and what is on its way is reserved before it comes."""

from sqlmodel import Session, case, col, func, select

from videovault.config import settings
from videovault.db import transaction
from videovault.errors import QuotaExceeded
from videovault.formatting import format_size
from videovault.models import Status, User, Video
from videovault.services.core import lifecycle

# What a stored video takes with its playable copy, and what one in work has reserved.
BYTES_STORED = func.coalesce(col(Video.size), 0) + func.coalesce(col(Video.copy_size), 0)
BYTES_USED = case((col(Video.status) == Status.READY, BYTES_STORED), else_=col(Video.reserved_bytes))
MAX_VIDEOS = 50_000


def limit(user: User) -> int:
    """The account's quota in bytes; 0: none."""
    return settings().default_quota_bytes if user.quota_bytes is None else user.quota_bytes


def used(session: Session, user_id: str, *, but: str = "") -> int:
    """What the user's stored videos take and those in work have reserved, in bytes; ``but`` is not counted."""
    total = select(func.sum(BYTES_USED)).where(Video.owner_id == user_id, Video.id != but)
    return int(session.exec(total).one() or 0)


def remaining(session: Session, user_id: str) -> int | None:
    """Bytes that may still be stored; None: no limit."""
    quota = limit(session.get_one(User, user_id))
    return max(0, quota - used(session, user_id)) if quota else None


def check_quota(session: Session, user_id: str) -> None:
    """Raises QuotaExceeded when the account is full already, or holds as many videos as an account may."""
    check_video_count(session, user_id)
    quota = limit(session.get_one(User, user_id))
    taken = used(session, user_id)
    if quota and taken >= quota:
        raise QuotaExceeded(
            f"The account is full: {format_size(taken)} of {format_size(quota)} are taken. Delete videos to make room."
        )


def check_video_count(session: Session, user_id: str, *, adding: int = 0) -> None:
    """Raises QuotaExceeded when the account would have more than ``MOST_VIDEOS`` rows, drafts and failed ones included."""
    count = select(func.count()).select_from(Video).where(Video.owner_id == user_id)
    if session.exec(count).one() + adding > MAX_VIDEOS:
        raise QuotaExceeded(f"The account has {MAX_VIDEOS:,} videos, the most possible. Delete some first.")


def reserve(video: Video, wanted: int, *, least: int) -> int:
    """Set ``wanted`` bytes aside for a video being stored, or what is left if that is at least ``least``.

    How many were set aside, those of earlier calls included. Raises QuotaExceeded. Where the video is not the
    worker's any more nothing is set aside, and its lease tells it so.
    """
    with transaction(essential=True) as session:  # of a transfer that was begun
        # The owner's row is held meanwhile, so that two transfers never count on the same room.
        owner = session.get_one(User, video.owner_id, with_for_update={"key_share": True})
        quota = limit(owner)
        left = quota - used(session, owner.id, but=video.id) if quota else wanted
        if left < least:
            raise _does_not_fit(wanted if wanted == least else None, max(left, 0), quota)
        granted = min(wanted, left)
        lifecycle.update_if_unchanged(session, video, reserved_bytes=granted)
    return granted


def _does_not_fit(total: int | None, left: int, quota: int) -> QuotaExceeded:
    video = f"This video of {format_size(total)}" if total else "This video"
    return QuotaExceeded(
        f"{video} does not fit into the account: {format_size(left)} of {format_size(quota)} are left. "
        "Delete other videos to make room, then try again."
    )
