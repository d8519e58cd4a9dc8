"""A user's videos: the gallery, one video, its presigned links, live updates, and the import from a link."""

import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, or_, select

from videovault.clock import read_db_now, utcnow
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import Conflict, UserNotFound
from videovault.gateways import source, storage
from videovault.models import CopyState, Event, Status, User, Video
from videovault.services.core import audit, cursors, fields, idempotency, lifecycle, quota, rate_limits
from videovault.services.core.access import Caller, check_user, open_video
from videovault.services.core.cursors import Position
from videovault.services.core.idempotency import Claim
from videovault.services.core.lifecycle import Enqueue
from videovault.services.core.naming import content_disposition, object_key
from videovault.services.core.views import (
    PROCESSING,
    PUBLIC_STATUS,
    GalleryView,
    PublicStatus,
    StoredView,
    VideoView,
)
from videovault.services.videos import sidecar

Sort = Literal["newest", "oldest", "title", "size", "longest"]
SORT_ORDERS: dict[str, tuple[Any, ...]] = {
    "newest": (col(Video.created_at).desc(), col(Video.id).desc()),
    "oldest": (col(Video.created_at), col(Video.id)),
    "title": (cursors.TITLE, col(Video.id)),
    "size": (cursors.STORED_SIZE.desc(), col(Video.id).desc()),
    "longest": (cursors.DURATION.desc(), col(Video.id).desc()),
}
# Their order was another one in earlier versions, whose cursors would skip or repeat videos and are refused.
REORDERED = ("title", "size", "longest")
PAGE_SIZE = 200
LISTED_STATUSES = (*PROCESSING, Status.READY, Status.FAILED)


@dataclass(frozen=True)
class GalleryQuery:
    """Filter, order and page of a gallery; ``limit`` None for all, ``cursor`` as given by an earlier page."""

    status: PublicStatus | None = None
    q: str = ""
    sort: Sort = "newest"
    limit: int | None = None
    cursor: str = ""


def list_videos(
    caller: Caller, user_id: str, query: GalleryQuery | None = None, *, links: bool = True
) -> GalleryView:
    """One page of the user's videos and the counts over all of them; with presigned links if ``links``.

    Raises Forbidden for another user's gallery, InvalidInput for an invalid cursor.
    """
    check_user(caller, user_id)
    if links:
        rate_limits.check(rate_limits.LINKS, "links", caller.user_id)
    query = query or GalleryQuery()
    position = _position(query)
    with reading() as session:
        rows, next_position = _read_page(session, user_id, query, query.limit, position)
        counted = quota.counts_of(session, user_id).by_public_status
    if links and any(row.status == Status.READY for row in rows):
        record_links(caller, user_id)
    videos = with_links_all(rows) if links else [VideoView.of(row) for row in rows]
    next_cursor = cursors.encode(_order_name(query), next_position) if next_position else None
    return gallery_view(videos, counted, next_cursor)


def stream_gallery(caller: Caller, user_id: str, query: GalleryQuery) -> Iterator[GalleryView]:
    """The whole gallery in views of at most ``PAGE_SIZE`` videos, so that its length costs no memory.

    Each view repeats the counts of the first. With a limit there is one view. Raises as ``list_videos`` does.
    """
    if query.limit is not None:
        yield list_videos(caller, user_id, query)
        return
    check_user(caller, user_id)
    rate_limits.check(rate_limits.LINKS, "links", caller.user_id)
    position = _position(query)
    with reading() as session:
        counted = quota.counts_of(session, user_id).by_public_status
    are_links_recorded, is_last = False, False
    while not is_last:
        with reading() as session:
            rows, position = _read_page(session, user_id, query, PAGE_SIZE, position)
        if not are_links_recorded and any(row.status == Status.READY for row in rows):
            record_links(caller, user_id)
            are_links_recorded = True
        yield gallery_view(with_links_all(rows), counted)
        is_last = position is None


def gallery_view(
    shown: list[VideoView], counted: Mapping[PublicStatus, int], next_cursor: str | None = None
) -> GalleryView:
    return GalleryView(
        videos=shown,
        total_count=sum(counted.values()) - counted["draft"],
        ready_count=counted["ready"],
        processing_count=counted["processing"],
        failed_count=counted["failed"],
        draft_count=counted["draft"],
        next_cursor=next_cursor,
    )


def get(caller: Caller, video_id: str, *, links: bool = True) -> VideoView:
    if links:
        rate_limits.check(rate_limits.LINKS, "links", caller.user_id)
    with reading() as session:
        row = open_video(session, caller, video_id, "read").row
    return _handed_out(caller, row) if links else VideoView.of(row)


def _handed_out(caller: Caller, row: Video) -> VideoView:
    if row.status == Status.READY:
        record_links(caller, row.owner_id, row.id)
    return with_links(row)


def with_links(row: Video) -> VideoView:
    """The view, with presigned links if the video is ready."""
    return with_links_all([row])[0]


def with_links_all(rows: Sequence[Video]) -> list[VideoView]:
    """As ``with_links`` for many videos, with one signer."""
    if all(row.status != Status.READY for row in rows):
        return [VideoView.of(row) for row in rows]
    sign = storage.connected().signer(seconds=settings().download_url_seconds)
    return [_linked(row, sign) for row in rows]


def _linked(row: Video, sign: Callable[[str, str], str]) -> VideoView:
    if row.status != Status.READY:
        return VideoView.of(row)
    poster = sign(row.poster_key, "") if row.poster_key else None
    return VideoView.of(row, download_url=sign(str(row.s3_key), _disposition(row)), thumbnail_url=poster)


def rename(caller: Caller, video_id: str, title: str) -> VideoView:
    """Give a video another title. Raises VideoNotFound, InvalidInput."""
    title = fields.validate(fields.TITLE, {"title": title})["title"]
    with transaction() as session:
        row = open_video(session, caller, video_id, "change").row
        detail = {"from": row.title, "to": title}
        session.add(Event(kind="renamed", actor_id=caller.user_id, video_id=row.id, detail=detail))
        row.title, row.updated_at, row.sidecar_due_at = title, utcnow(), read_db_now(session)
        row.has_derived_title = False
    sidecar.write(row.id)
    return with_links(row)  # the event above records this too


def download_url(caller: Caller, video_id: str, *, inline: bool = False) -> str:
    """A new presigned URL to save the file under its title or (``inline``) to play it.

    Raises VideoNotFound, Conflict before the video is ready.
    """
    rate_limits.check(rate_limits.LINKS, "links", caller.user_id)
    with reading() as session:
        row = _ready(session, caller, video_id)
    if inline:
        record_links(caller, row.owner_id, row.id)
    else:
        audit.try_record_hourly("download", actor_id=caller.user_id, video_id=row.id)
    return video_link(row, inline=inline)


def poster_url(caller: Caller, video_id: str) -> str:
    """A new presigned URL of the poster. Raises VideoNotFound, Conflict if there is none."""
    with reading() as session:
        link = poster_link(_ready(session, caller, video_id))
    if link is None:
        raise Conflict("This video has no poster.")
    return link


def video_link(row: Video, *, inline: bool = False, allow_copy: bool = True) -> str:
    """A presigned URL, without an access check, to save the original or (``inline``) to play the video.

    The playable copy is played if there is one, unless ``allow_copy`` is false.
    """
    key, disposition = str(row.s3_key), _disposition(row, inline=inline)
    if inline and allow_copy and row.copy_state == CopyState.READY and row.copy_key:
        key = row.copy_key
        disposition = content_disposition(row.title, row.copy_format or "mp4", inline=True)
    return storage.connected().presign(key, seconds=settings().download_url_seconds, disposition=disposition)


def _disposition(row: Video, *, inline: bool = False) -> str:
    return content_disposition(row.title, row.format or "mp4", inline=inline)


def poster_link(row: Video) -> str | None:
    if not row.poster_key:
        return None
    return storage.connected().presign(row.poster_key, seconds=settings().download_url_seconds)


def statuses(video_ids: Collection[str]) -> dict[str, Status]:
    """The states of these videos without those that are gone. For the server itself: there is no access check."""
    with reading() as session:
        found = session.exec(select(Video.id, Video.status).where(col(Video.id).in_(video_ids)))
        return {video_id: Status(status) for video_id, status in found}


def store_link(
    caller: Caller,
    url: str,
    user_email: str,
    title: str = "",
    *,
    enqueue: Enqueue,
    claim: Claim | None = None,
) -> StoredView:
    """Import the video at a URL for the user with this e-mail address.

    A URL that is being stored, or that a stored generated video came from, gives that video again, even to concurrent
    calls. ``claim`` is that of the call's idempotency key. Raises UserNotFound for another user's e-mail address,
    InvalidInput, RateLimited, UnsafeUrl, QuotaExceeded if the account is full.
    """
    url = fields.validate_url(url)
    title = fields.validate(fields.TITLE, {"title": title})["title"] if title.strip() else ""
    owner_id = _owner_id(caller, user_email)
    rate_limits.check(rate_limits.STORES, "stores", caller.user_id)
    with reading() as session:
        is_known = _known(session, owner_id, url) is not None
    if (
        not is_known
    ):  # the check refuses URLs of the embedded studio, which may be fetched for their own video only
        source.connected().check(url)
    with transaction() as session:
        _wait_for_turn(session, owner_id)
        known = _known(session, owner_id, url)
        video = known or _queue(session, owner_id, caller, url, title)
        idempotency.remember(session, claim, video.id)
        opened = open_video(session, caller, video.id, "share")
        view = StoredView.of(opened.row, opened.secret_key)
    if known is None:
        enqueue(view.video_id)
    audit.record_key_read(caller.user_id, video)
    return view


def get_stored(caller: Caller, video_id: str) -> StoredView:
    """The answer of ``store_link`` for the current state."""
    with reading() as session:
        opened = open_video(session, caller, video_id, "share")
    audit.record_key_read(caller.user_id, opened.row)
    return StoredView.of(opened.row, opened.secret_key)


def record_links(caller: Caller, owner_id: str, video_id: str | None = None) -> None:
    """Record that presigned links of one video, or of a page of a gallery, were given out."""
    detail = {"userId": owner_id}
    audit.try_record_hourly("links", actor_id=caller.user_id, video_id=video_id, detail=detail)


def _ready(session: Session, caller: Caller, video_id: str) -> Video:
    row = open_video(session, caller, video_id, "read").row
    if row.status != Status.READY:
        raise Conflict("This video is not ready yet.")
    return row


def filters(user_id: str, query: GalleryQuery) -> list[list[ColumnElement[bool]]]:
    """The conditions of each status that the query asks for."""
    if query.status is None:
        statuses: list[str] = list(LISTED_STATUSES)
    else:
        statuses = [status for status, public in PUBLIC_STATUS.items() if public == query.status]
    chosen: list[ColumnElement[bool]] = []
    text = unicodedata.normalize("NFC", query.q.strip())  # the form in which titles are stored
    if text:
        searched = (col(Video.title), col(Video.company_name))
        chosen.append(or_(*(cursors.contains(column, text) for column in searched)))
    is_own = col(Video.owner_id) == user_id
    return [[is_own, lifecycle.in_status(Status(status)), *chosen] for status in statuses]


def _order_name(query: GalleryQuery) -> str:
    return f"{query.sort}-2" if query.sort in REORDERED else query.sort


def _position(query: GalleryQuery) -> Position | None:
    return cursors.decode(query.cursor, _order_name(query)) if query.cursor else None


def _read_page(
    session: Session, user_id: str, query: GalleryQuery, limit: int | None, position: Position | None
) -> tuple[list[Video], Position | None]:
    return cursors.read_page(
        session, Video, filters(user_id, query), SORT_ORDERS[query.sort], position, limit
    )


def _owner_id(caller: Caller, user_email: str) -> str:
    email = fields.normalize_email(user_email, "userEmail")
    if email == caller.email:
        return caller.user_id
    with reading() as session:
        owner = session.exec(select(User).where(User.email == email)).first()
    if owner is None or not caller.is_admin:
        raise UserNotFound
    return owner.id


def _wait_for_turn(session: Session, owner_id: str) -> None:
    """Serialize imports of one owner until the transaction ends, or two could both find the URL unknown.

    SQLite has one writer anyway. A unique index would also refuse a generated video whose URL is being imported.
    """
    session.exec(select(User.id).where(User.id == owner_id).with_for_update(key_share=True)).first()


def _known(session: Session, owner_id: str, url: str) -> Video | None:
    """The newest video that is being stored from this URL, or a stored generated video that came from it.

    One of our own download links stands for a generated video that had no other URL. Any other URL may serve a
    different file later, so it is fetched again.
    """
    in_work = col(Video.status).in_((Status.QUEUED, Status.STORING))
    generated = lifecycle.in_status(Status.READY) & col(Video.requested_at).is_not(None)
    owned = select(Video).where(Video.owner_id == owner_id)
    fetched = owned.where(*cursors.has_source(url), or_(in_work, generated))
    newest = fetched.order_by(col(Video.created_at).desc()).limit(1)
    key = _key_in(owner_id, url)
    linked_to = owned.where(Video.s3_key == key, generated)
    found = [session.exec(newest).first(), session.exec(linked_to).first() if key else None]
    return max(filter(None, found), key=lambda video: video.created_at, default=None)


def _key_in(owner_id: str, url: str) -> str:
    """The key of one of the owner's objects in a URL, such as a presigned link; empty if there is none."""
    _, prefix, rest = unquote(urlsplit(url).path).partition(f"videos/{owner_id}/")
    return prefix + rest


def _queue(session: Session, owner_id: str, caller: Caller, url: str, title: str) -> Video:
    quota.check_quota(session, owner_id)
    name = title or source.title_from_url(url)
    video = lifecycle.new_video(
        owner_id,
        Status.QUEUED,
        name,
        source_url=url,
        queued_at=read_db_now(session),
        has_derived_title=not title,
    )
    video.s3_key = object_key(video, url)
    session.add(video)
    session.add(Event(kind="store_requested", actor_id=caller.user_id, video_id=video.id))
    session.flush()
    return video
