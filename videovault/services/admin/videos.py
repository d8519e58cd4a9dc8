"""All users' videos, for admins: find and delete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement
from sqlalchemy.orm import load_only
from sqlmodel import case, col, func, or_, select

from videovault.db import reading
from videovault.errors import VideoVaultError
from videovault.models import Status, User, Video
from videovault.services.core.access import Caller, check_admin
from videovault.services.core.views import (
    PROCESSING,
    PUBLIC_STATUS,
    AdminVideoView,
    DeletionResult,
    Failure,
    PublicStatus,
    VideoView,
    View,
)
from videovault.services.videos import deletion

Column = Literal["title", "owner", "status", "size", "created"]
MAX_SELECTED = 10_000
SELECTED_COLUMNS: tuple[Any, ...] = (Video.id, Video.title, Video.status, Video.size)
STORED_BYTES = case((col(Video.status) == Status.READY, func.coalesce(Video.size, 0)), else_=0)
SORTED_BY: Mapping[Column, Any] = {
    "title": func.lower(col(Video.title)),
    "owner": col(User.email),
    "status": case((col(Video.status).in_(PROCESSING), "processing"), else_=col(Video.status)),
    "size": STORED_BYTES,
    "created": col(Video.created_at),
}


class AdminVideosView(View):
    """One page of videos; the totals are over all pages, ``total_bytes`` counts stored bytes only."""

    videos: list[AdminVideoView]
    total_count: int
    total_bytes: int


class SelectedVideoView(View):
    """What the deletion dialog shows of a video; ``size`` in stored bytes."""

    video_id: str
    title: str
    owner_email: str
    status: PublicStatus
    size: int


class OwnerView(View):
    user_id: str
    email: str


@dataclass(frozen=True)
class VideosQuery:
    """A filter and an order; ``limit`` None: all, ``q``: part of the title or the owner's e-mail address."""

    status: PublicStatus | None = None
    owner_id: str = ""
    q: str = ""
    sort: Column = "created"
    descending: bool = True
    offset: int = 0
    limit: int | None = None


def find_videos(caller: Caller, query: VideosQuery) -> AdminVideosView:
    """One page of the videos found, and their total number. Raises Forbidden for non-admins."""
    check_admin(caller)
    page = (
        select(Video, User)
        .join(User, col(User.id) == col(Video.owner_id))
        .where(*_conditions(query))
        .order_by(*_order(query))
        .offset(query.offset)
        .limit(query.limit)
    )
    sums = (
        select(func.count(), func.coalesce(func.sum(STORED_BYTES), 0))
        .select_from(Video)
        .join(User, col(User.id) == col(Video.owner_id))
        .where(*_conditions(query))
    )
    with reading() as session:
        videos = [_view(video, owner) for video, owner in session.exec(page)]
        count, stored = session.exec(sums).one()
    return AdminVideosView(videos=videos, total_count=count, total_bytes=int(stored))


def list_videos(caller: Caller) -> list[AdminVideoView]:
    """All videos, newest first. Raises Forbidden for non-admins."""
    return find_videos(caller, VideosQuery()).videos


def select_videos(caller: Caller, query: VideosQuery) -> list[SelectedVideoView]:
    """All videos of the query, on any page, at most ``MAX_SELECTED``: to be deleted or retried together."""
    check_admin(caller)
    found = (
        select(Video, User.email)
        .options(load_only(*SELECTED_COLUMNS))
        .join(User, col(User.id) == col(Video.owner_id))
        .where(*_conditions(query))
        .order_by(*_order(query))
        .limit(MAX_SELECTED)
    )
    with reading() as session:
        return [
            SelectedVideoView(
                video_id=video.id,
                title=video.title,
                owner_email=email,
                status=PUBLIC_STATUS[video.status],
                size=stored_bytes(video.status, video.size),
            )
            for video, email in session.exec(found)
        ]


def list_owners(caller: Caller) -> list[OwnerView]:
    """The users who have videos, by e-mail address. Raises Forbidden for non-admins."""
    check_admin(caller)
    having = select(Video.owner_id).where(col(Video.status) != Status.DELETING).distinct()
    found = select(User.id, User.email).where(col(User.id).in_(having)).order_by(User.email)
    with reading() as session:
        return [OwnerView(user_id=user_id, email=email) for user_id, email in session.exec(found)]


def delete_videos(caller: Caller, video_ids: Sequence[str]) -> list[DeletionResult]:
    """Delete each video and return the result of each; one that fails does not stop the others."""
    check_admin(caller)
    return [_delete(caller, video_id) for video_id in dict.fromkeys(video_ids)]


def stored_bytes(status: str, size: int | None) -> int:
    """The bytes in S3: only a ready video's size is proven."""
    return size or 0 if status == Status.READY else 0


def _delete(caller: Caller, video_id: str) -> DeletionResult:
    try:
        kept = None if deletion.resume(video_id) else deletion.delete(caller, video_id)
    except VideoVaultError as error:
        failure = Failure(code=error.code, message=error.public_message)
        return DeletionResult(video_id=video_id, deleted=False, error=failure)
    return DeletionResult(video_id=video_id, deleted=True, note=str(kept) if kept else None)


def _conditions(query: VideosQuery) -> list[ColumnElement[bool]]:
    statuses = [status for status, public in PUBLIC_STATUS.items() if query.status in (None, public)]
    conditions: list[ColumnElement[bool]] = [col(Video.status).in_(statuses)]
    if query.owner_id:
        conditions.append(col(Video.owner_id) == query.owner_id)
    words = query.q.strip()
    if words:
        in_title = col(Video.title).icontains(words, autoescape=True)
        conditions.append(or_(in_title, col(User.email).icontains(words, autoescape=True)))
    return conditions


def _order(query: VideosQuery) -> tuple[Any, ...]:
    """Equal values are ordered by id, so that no video is on two pages."""
    columns = SORTED_BY[query.sort], col(Video.id)
    return tuple(column.desc() if query.descending else column.asc() for column in columns)


def _view(video: Video, owner: User) -> AdminVideoView:
    return AdminVideoView(
        video=VideoView.of(video),
        owner_id=owner.id,
        owner_email=owner.email,
        size=video.size or 0,
        has_poster=video.poster_key is not None,
    )
