from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

from sqlalchemy import update
from sqlmodel import Session, col, func, or_, select

from videovault import logs, security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import AUDIT_LOCK_SECONDS, changes_row, reading, transaction, try_write
from videovault.errors import Conflict, InvalidInput, ObjectSwapped, RateLimited, StorageError, WrongSecretKey
from videovault.gateways import storage
from videovault.models import Event, Status, Video
from videovault.security import ViewPass
from videovault.services.core import audit, client_ip, rate_limits
from videovault.services.core.access import Caller, OpenedVideo, Visitor, open_video
from videovault.services.core.views import CopyView, Metadata, Timestamp, View
from videovault.services.videos import gallery, integrity
from videovault.services.videos.integrity import TagStatus

MAX_DAYS = 3650
MAX_VIEWS = 1_000_000
VIEW_PASS_SECONDS = 6 * 3600  # an open page may play and download this long, even beyond the view limit
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
    """What a visitor sees. The ``ticket`` is a view pass token."""

    video_id: str
    title: str
    company_name: str
    has_poster: bool
    ticket: str
    metadata: Metadata
    playable_copy: CopyView | None = None


@dataclass(frozen=True)
class ShareCredentials:
    """The key of the link, the client's address, and the view pass token of a page that is already open."""

    secret_key: str = field(repr=False)
    address: str = ""
    ticket: str = field(default="", repr=False)


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


def open_page(video_id: str, credentials: ShareCredentials) -> SharedView:
    """What the page of a link shows; it counts as a view unless the page has a valid view pass.

    Raises WrongSecretKey for a wrong, revoked, closed or used-up link and for an absent video alike; RateLimited.
    """
    view_pass = _view_pass(video_id)
    video = _open_verified(video_id, credentials)
    is_counted = _has_view_pass(view_pass, credentials)
    if not is_counted:
        _count(video, credentials, "page")
    return SharedView(
        video_id=video.id,
        title=video.title,
        company_name=video.company_name,
        has_poster=video.poster_key is not None,
        metadata=Metadata.model_validate(video),
        playable_copy=_copy_for_visitors(video),
        ticket=credentials.ticket if is_counted else security.issue_view_pass(view_pass),
    )


def download_url(video_id: str, credentials: ShareCredentials, *, inline: bool = False) -> str:
    """A new presigned URL to save the file or (``inline``) to play it; without a view pass it counts as a view.

    Raises as ``open_page`` does.
    """
    view_pass = _view_pass(video_id)
    video = _open_verified(video_id, credentials)
    if not _has_view_pass(view_pass, credentials):
        _count(video, credentials, "address")
    if not inline:
        detail = {"network": client_ip.anonymize(credentials.address)}
        audit.try_record_hourly(
            "share_download", video_id=video_id, client_ip=credentials.address, detail=detail
        )
    return gallery.video_link(video, inline=inline, allow_copy=inline and integrity.is_copy_intact(video))


def poster_url(video_id: str, credentials: ShareCredentials) -> str:
    """A new presigned URL of the poster; not counted, but refused after the last view. Raises as ``open_page`` does."""
    view_pass = _view_pass(video_id)
    with reading() as session:
        video = _open(session, video_id, credentials)
    link = gallery.poster_link(video)
    if link is None or (_is_used_up(video) and not _has_view_pass(view_pass, credentials)):
        raise WrongSecretKey
    return link


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


def _copy_for_visitors(video: Video) -> CopyView | None:
    """Without the error, which may reveal details of the owner's account."""
    copy = CopyView.of(video)
    return copy and copy.model_copy(update={"error": None})


def _view_pass(video_id: str) -> ViewPass:
    """To be built before the link is checked: if the link changes in between, the pass is already invalid."""
    return ViewPass(video_id, link_version(video_id))


def _has_view_pass(view_pass: ViewPass, credentials: ShareCredentials) -> bool:
    return security.is_valid_view_pass(credentials.ticket, view_pass, max_age_seconds=VIEW_PASS_SECONDS)


def _is_used_up(video: Video) -> bool:
    return video.share_most_views is not None and video.share_views >= video.share_most_views


def _open_verified(video_id: str, credentials: ShareCredentials) -> Video:
    with reading() as session:
        video = _open(session, video_id, credentials)
    try:
        integrity.check(video)
    except ObjectSwapped as error:
        raise WrongSecretKey from error
    return video


def _open(session: Session, video_id: str, credentials: ShareCredentials) -> Video:
    address = client_ip.rate_limit_key(credentials.address)
    try:
        rate_limits.check_address_without_counting(rate_limits.WRONG_KEYS, "share", address)
        return open_video(session, Visitor(credentials.secret_key), video_id, "watch").row
    except RateLimited:
        logs.refused("share link", video_id=video_id, reason="limited")
        raise
    except WrongSecretKey:
        logs.refused("share link", video_id=video_id, reason="wrong")
        rate_limits.check_address(rate_limits.WRONG_KEYS, "share", address)
        raise


def _count(video: Video, credentials: ShareCredentials, by: str) -> None:
    """Count a view, or raise WrongSecretKey at the limit. Without a limit, counting may fail."""
    count = partial(_count_in, video_id=video.id, credentials=credentials, by=by)
    if video.share_most_views is None:
        try_write("share_opened", count, lock_timeout=AUDIT_LOCK_SECONDS)
        return
    with transaction(essential=True) as session:
        count(session)


def _count_in(session: Session, *, video_id: str, credentials: ShareCredentials, by: str) -> None:
    is_below_limit = or_(
        col(Video.share_most_views).is_(None), col(Video.share_views) < col(Video.share_most_views)
    )
    video = _open(session, video_id, credentials)
    another = (
        update(Video)
        .where(col(Video.id) == video_id, is_below_limit)
        .values(share_views=Video.share_views + 1)
    )
    if not changes_row(session, another):
        raise WrongSecretKey
    session.refresh(video, ["share_views"])
    detail = {"network": client_ip.anonymize(credentials.address), "views": video.share_views, "by": by}
    audit.record_hourly(
        session, "share_opened", video_id=video_id, client_ip=credentials.address, detail=detail
    )
