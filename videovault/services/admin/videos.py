"""What admins may do beyond their own videos: find anybody's, and delete any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement
from sqlalchemy.orm import load_only
from sqlmodel import case, col, func, or_, select

from videovault.db import reading
from videovault.errors import VideoVaultError
from videovault.models import Status, User, Video
from videovault.services.admin.views import AdminVideosView, OwnerView, SelectedVideoView
from videovault.services.core.access import Caller, check_admin
from videovault.services.core.views import (
    PROCESSING,
    PUBLIC_STATUS,
    AdminVideoView,
    DeletionResult,
    Failure,
    PublicStatus,
    VideoView,
)
from videovault.services.videos import deletion

Column = Literal["title", "owner", "status", "size", "created"]
MAX_SELECTED = 10_000
PICKED: tuple[Any, ...] = (Video.id, Video.title, Video.status, Video.size)
STORED_BYTES = case((col(Video.status) == Status.READY, func.coalesce(Video.size, 0)), else_=0)
SORTED_BY: Mapping[Column, Any] = {
    "title": func.lower(col(Video.title)),
    "owner": col(User.email),
    "status": case((col(Video.status).in_(PROCESSING), "processing"), else_=col(Video.status)),
    "size": STORED_BYTES,
    "created": col(Video.created_at),
}


@dataclass(frozen=True)
class VideosQuery:
    """Which of everybody's videos, and in what order; ``limit`` None for all, ``q`` in title or owner's address."""

    status: PublicStatus | None = None
    owner_id: str = ""
    q: str = ""
    sort: Column = "created"
    descending: bool = True
    offset: int = 0
    limit: int | None = None


def find_videos(caller: Caller, query: VideosQuery) -> AdminVideosView:
    """One page of the videos wanted, and how many there are in all. Raises Forbidden for anyone but admins."""
    check_admin(caller)
    page = (
        select(Video, User)
        .join(User, col(User.id) == col(Video.owner_id))
        .where(*_wanted(query))
        .order_by(*_order(query))
        .offset(query.offset)
        .limit(query.limit)
    )
    sums = (
        select(func.count(), func.coalesce(func.sum(STORED_BYTES), 0))
        .select_from(Video)
        .join(User, col(User.id) == col(Video.owner_id))
        .where(*_wanted(query))
    )
    with reading() as session:
        videos = [_view(video, owner) for video, owner in session.exec(page)]
        count, stored = session.exec(sums).one()
    return AdminVideosView(videos=videos, total_count=count, total_bytes=int(stored))


def list_videos(caller: Caller) -> list[AdminVideoView]:
    """Everybody's videos, newest first. Raises Forbidden for anyone but admins."""
    return find_videos(caller, VideosQuery()).videos


def select_videos(caller: Caller, query: VideosQuery) -> list[SelectedVideoView]:
    """All that the query finds, whatever its page, at most ``MOST_PICKED``: to be deleted or tried again together."""
    check_admin(caller)
    found = (
        select(Video, User.email)
        .options(load_only(*PICKED))
        .join(User, col(User.id) == col(Video.owner_id))
        .where(*_wanted(query))
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
    """Whoever has videos, by address. Raises Forbidden for anyone but admins."""
    check_admin(caller)
    having = select(Video.owner_id).where(col(Video.status) != Status.DELETING).distinct()
    found = select(User.id, User.email).where(col(User.id).in_(having)).order_by(User.email)
    with reading() as session:
        return [OwnerView(user_id=user_id, email=email) for user_id, email in session.exec(found)]


def delete_videos(caller: Caller, video_ids: Sequence[str]) -> list[DeletionResult]:
    """Delete each; what happened to each, for one that fails must not keep the others."""
    check_admin(caller)
    return [_delete(caller, video_id) for video_id in dict.fromkeys(video_ids)]


def stored_bytes(status: str, size: int | None) -> int:
    """What lies in S3 of a video: what is said of others than ready ones is hearsay."""
    return size or 0 if status == Status.READY else 0


def _delete(caller: Caller, video_id: str) -> DeletionResult:
    try:
        kept = None if deletion.resume(video_id) else deletion.delete(caller, video_id)
    except VideoVaultError as error:
        failure = Failure(code=error.code, message=error.public_message)
        return DeletionResult(video_id=video_id, deleted=False, error=failure)
    return DeletionResult(video_id=video_id, deleted=True, note=str(kept) if kept else None)


def _wanted(query: VideosQuery) -> list[ColumnElement[bool]]:
    statuses = [status for status, public in PUBLIC_STATUS.items() if query.status in (None, public)]
    wanted: list[ColumnElement[bool]] = [col(Video.status).in_(statuses)]
    if query.owner_id:
        wanted.append(col(Video.owner_id) == query.owner_id)
    words = query.q.strip()
    if words:
        in_title = col(Video.title).icontains(words, autoescape=True)
        wanted.append(or_(in_title, col(User.email).icontains(words, autoescape=True)))
    return wanted


def _order(query: VideosQuery) -> tuple[Any, Any]:
    """By the id where the column says the same, so that no video is on two pages."""
    wish = SORTED_BY[query.sort]
    return (wish.desc(), col(Video.id).desc()) if query.descending else (wish.asc(), col(Video.id).asc())


def _view(video: Video, owner: User) -> AdminVideoView:
    return AdminVideoView(
        video=VideoView.of(video),
        owner_id=owner.id,
        owner_email=owner.email,
        size=video.size or 0,
        has_poster=video.poster_key is not None,
    )
