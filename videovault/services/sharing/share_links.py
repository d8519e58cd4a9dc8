"""The owner's side of a share link: show it, limit it, close it, or revoke it with a new secret key."""

from datetime import timedelta
from urllib.parse import urlencode

from sqlmodel import Session, col, func, select

from videovault import logs, security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import Conflict, InvalidInput, StorageError
from videovault.gateways import storage
from videovault.models import Event, Status, Video
from videovault.services.core import audit
from videovault.services.core.access import Caller, OpenedVideo, open_video
from videovault.services.core.views import CopyView, Measured, Timestamp, View
from videovault.services.videos import integrity
from videovault.services.videos.integrity import TagStatus

MAX_DAYS = 3650
MAX_VIEWS = 1_000_000
SHARED, UNSHARED = "shared", "unshared"
log = logs.get(__name__)


class KeyView(View):
    """The video's secret key and the share link with it; for its owner only, and never part of a list."""

    video_id: str
    secret_key: str
    url: str

    @classmethod
    def of(cls, video: Video, secret_key: str) -> "KeyView":
        return cls(video_id=video.id, secret_key=secret_key, url=share_url(video.id, secret_key))


class ShareView(View):
    """A share link and its state; ``views`` are those since the link or its limits last changed."""

    video_id: str
    title: str
    url: str
    is_open: bool
    expires_at: Timestamp | None = None
    most_views: int | None = None
    views: int = 0

    @classmethod
    def of(cls, video: Video, secret_key: str) -> "ShareView":
        return cls(
            video_id=video.id,
            title=video.title,
            url=share_url(video.id, secret_key),
            is_open=video.share_closed_at is None,
            expires_at=video.share_expires_at,
            most_views=video.share_most_views,
            views=video.share_views,
        )


class SharedView(View):
    """What a visitor sees; ``duration`` in seconds, ``size`` in bytes. The ``ticket`` is a view pass token."""

    video_id: str
    title: str
    company_name: str
    duration: float | None
    size: int | None
    has_poster: bool
    ticket: str
    format: str | None = None
    measured: Measured | None = None
    playable_copy: CopyView | None = None


def share_url(video_id: str, secret_key: str) -> str:
    return f"{settings().base_url}/share/{video_id}?{urlencode({'key': secret_key})}"


def get_secret_key(caller: Caller, video_id: str) -> KeyView:
    """The video's secret key and link. Raises VideoNotFound."""
    with reading() as session:
        opened = open_video(session, caller, video_id, "share")
    audit.record_key_read(caller.user_id, opened.row)
    return KeyView.of(opened.row, opened.secret_key)


def rotate_key(caller: Caller, video_id: str) -> KeyView:
    """Replace the video's secret key, which revokes all links with the old one. Raises VideoNotFound.

    The object is then tagged with the new key; if S3 fails, ``reconcile`` does it later.
    """
    swapped = _is_swapped(caller, video_id)
    fresh = security.new_secret_key()
    with transaction() as session:
        video = open_video(session, caller, video_id, "share", for_update=True).row
        video.sealed_key = security.seal(fresh, owner_id=video.owner_id, video_id=video.id)
        video.share_views, video.updated_at = 0, utcnow()
        session.add(Event(kind=audit.KEY_REPLACED, actor_id=caller.user_id, video_id=video.id))
        if swapped:  # a new tag would make the foreign object look like the stored one
            integrity.record_swapped(session, video)
    if video.status == Status.READY and not swapped:
        _tag(video)
    return KeyView.of(video, fresh)


def get_link(caller: Caller, video_id: str) -> ShareView:
    """The share link and its state. Raises VideoNotFound."""
    with reading() as session:
        opened = open_video(session, caller, video_id, "share")
    audit.record_key_read(caller.user_id, opened.row)
    return _view(opened)


def open_link(
    caller: Caller, video_id: str, *, expires_in_days: int | None = None, most_views: int | None = None
) -> ShareView:
    """Open the link for this many days and views, or without limit, and reset its view count.

    Raises VideoNotFound, InvalidInput, Conflict before the video is ready.
    """
    _check("expiresInDays", expires_in_days, MAX_DAYS)
    _check("mostViews", most_views, MAX_VIEWS)
    with transaction() as session:
        opened = _ready(session, caller, video_id)
        video = opened.row
        video.share_closed_at, video.share_views, video.share_most_views = None, 0, most_views
        video.share_expires_at = utcnow() + timedelta(days=expires_in_days) if expires_in_days else None
        detail = {"days": expires_in_days, "views": most_views}
        session.add(Event(kind=SHARED, actor_id=caller.user_id, video_id=video.id, detail=detail))
        return _view(opened)


def close_link(caller: Caller, video_id: str) -> ShareView:
    """Close the link until it is opened again. Raises VideoNotFound."""
    with transaction() as session:
        opened = open_video(session, caller, video_id, "share", for_update=True)
        opened.row.share_closed_at = opened.row.share_closed_at or utcnow()
        session.add(Event(kind=UNSHARED, actor_id=caller.user_id, video_id=video_id))
        return _view(opened)


def link_version(video_id: str) -> int:
    """A number that changes whenever the link is opened, limited, closed or gets a new key."""
    kinds = (SHARED, UNSHARED, audit.KEY_REPLACED)
    last = select(func.max(Event.id)).where(Event.video_id == video_id, col(Event.kind).in_(kinds))
    with reading() as session:
        return session.exec(last).one() or 0


def _view(opened: OpenedVideo) -> ShareView:
    return ShareView.of(opened.row, opened.secret_key)


def _check(name: str, value: int | None, most: int) -> None:
    if value is not None and not 1 <= value <= most:
        message = f"This must be a number from 1 to {most:,}, or empty for no limit."
        raise InvalidInput(message, {name: message})


def _ready(session: Session, caller: Caller, video_id: str) -> OpenedVideo:
    opened = open_video(session, caller, video_id, "share", for_update=True)
    if opened.row.status != Status.READY:
        raise Conflict("This video is not ready yet.")
    return opened


def _is_swapped(caller: Caller, video_id: str) -> bool:
    """An unreachable S3 does not block revoking a link: the tag is then unknown, as after any new key."""
    with reading() as session:
        video = open_video(session, caller, video_id, "share").row
    vault = storage.connected()
    try:
        if video.status != Status.READY or not vault.keeps_metadata:
            return False
        return integrity.tag_status(video, vault.info(str(video.s3_key))) == TagStatus.WRONG
    except StorageError as error:
        log.warning("integrity tag not checked", video_id=video_id, reason=error.public_message)
        return False


def _tag(video: Video) -> None:
    if not storage.connected().keeps_metadata:
        return
    try:
        integrity.tag(video)
    except StorageError as error:
        log.warning("object not tagged", video_id=video.id, reason=error.public_message)
