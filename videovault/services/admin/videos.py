"""All users' videos, for admins: find and delete."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import load_only
from sqlalchemy.sql.base import ExecutableOption
from sqlmodel import Session, case, col, exists, func, literal_column, or_, select

from videovault import search_index
from videovault.db import reading
from videovault.errors import VideoVaultError
from videovault.models import Counter, Status, User, Video
from videovault.services.core import cursors, lifecycle, quota
from videovault.services.core.access import Caller, check_admin
from videovault.services.core.cursors import Position
from videovault.services.core.views import (
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
MAX_COUNTED = 10_000  # matches of a search; counting all would cost as much as finding all
MAX_PAGE = 200
MAX_OWNERS = 1000  # found by a search
OWNERS_AT_ONCE = 50
SELECTED_COLUMNS: tuple[Any, ...] = (
    col(Video.id),
    col(Video.owner_id),
    col(Video.title),
    col(Video.status),
    col(Video.size),
    col(Video.created_at),
)
STORED_BYTES = case((col(Video.status) == Status.READY, func.coalesce(Video.size, 0)), else_=0)
# Those by owner and status are lists of groups, each by time.
SORTED_BY: Mapping[Column, Any] = {
    "title": cursors.TITLE,
    "owner": col(Video.created_at),
    "status": col(Video.created_at),
    "size": cursors.STORED_SIZE,
    "created": col(Video.created_at),
}
Group = tuple[str, str]  # owner and public status, empty for all


class AdminVideosView(View):
    """One page of videos; the totals are over all pages, ``total_bytes`` counts stored bytes only.

    ``has_more_matches``: a search found more than the totals count.
    """

    videos: list[AdminVideoView]
    total_count: int
    total_bytes: int
    has_more_matches: bool = False
    next_cursor: str | None = None


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
class Search:
    """``is_rare``: few videos meet ``condition``, and an index finds them, so that no list has to be read for it."""

    condition: ColumnElement[bool]
    is_rare: bool


@dataclass(frozen=True)
class VideosQuery:
    """A filter, an order and a page; ``cursor`` is from an earlier page, ``q``: part of the title or the owner's e-mail."""

    status: PublicStatus | None = None
    owner_id: str = ""
    q: str = ""
    sort: Column = "created"
    descending: bool = True
    cursor: str = ""
    limit: int = MAX_PAGE

    @property
    def order_name(self) -> str:
        return f"admin-{self.sort}-{'down' if self.descending else 'up'}"


def find_videos(caller: Caller, query: VideosQuery) -> AdminVideosView:
    """One page of the videos found, and their number. Raises Forbidden for non-admins, InvalidInput for a wrong cursor."""
    check_admin(caller)
    position = cursors.decode(query.cursor, query.order_name) if query.cursor else None
    with reading() as session:
        videos, next_position = _read(session, query, position, query.limit)
        emails = _emails(session, videos)
        count, stored = _totals(session, query)
    return AdminVideosView(
        videos=[_view(video, emails[video.owner_id]) for video in videos if video.owner_id in emails],
        total_count=min(count, MAX_COUNTED) if query.q.strip() else count,
        total_bytes=stored,
        has_more_matches=bool(query.q.strip()) and count > MAX_COUNTED,
        next_cursor=cursors.encode(query.order_name, next_position) if next_position else None,
    )


def select_videos(caller: Caller, query: VideosQuery) -> list[SelectedVideoView]:
    """All videos of the query, on any page, at most ``MAX_SELECTED``: to be deleted or retried together."""
    check_admin(caller)
    with reading() as session:
        found, _ = _read(session, query, None, MAX_SELECTED, load_only(*SELECTED_COLUMNS))
        emails = _emails(session, found)
    return [
        SelectedVideoView(
            video_id=video.id,
            title=video.title,
            owner_email=emails[video.owner_id],
            status=PUBLIC_STATUS[video.status],
            size=stored_bytes(video.status, video.size),
        )
        for video in found
        if video.owner_id in emails
    ]


def list_owners(caller: Caller) -> list[OwnerView]:
    """The users who have videos, by e-mail address. Raises Forbidden for non-admins."""
    check_admin(caller)
    found = (
        select(User.id, User.email)
        .join(Counter, col(Counter.scope) == col(User.id))
        .where(_shown(None) > 0, col(User.closed_at).is_(None))
        .order_by(User.email)
    )
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


def _read(
    session: Session, query: VideosQuery, position: Position | None, limit: int, *options: ExecutableOption
) -> tuple[list[Video], Position | None]:
    """The videos behind ``position``, which is a group and the position in it, and that of the last one if there are more."""
    searched = _search(session, query.q)
    key = SORTED_BY[query.sort]
    order = tuple(column.desc() if query.descending else column for column in (key, col(Video.id)))
    videos: list[Video] = []
    last: Position | None = None
    group_name, inner = (str(position[0]), list(position[1:])) if position else ("", None)
    for name, group in _groups(session, query, searched, group_name):
        here = inner if name == group_name else None
        if len(videos) == limit:  # whether a later group has any
            more, _ = cursors.read_page(session, Video, _parts(group, searched), order, here, 1, *options)
            if more:
                return videos, last
            continue
        page = cursors.read_page(
            session, Video, _parts(group, searched), order, here, limit - len(videos), *options
        )
        videos += page[0]
        if page[1]:
            return videos, [name, *page[1]]
        if page[0]:
            last = [name, page[0][-1].created_at, page[0][-1].id]  # groups are lists by time
    return videos, None


def _groups(
    session: Session, query: VideosQuery, searched: Search | None, start: str
) -> Iterator[tuple[str, Group]]:
    """The groups from ``start`` on, with the names by which they are ordered."""
    if query.sort == "status":
        names = sorted({*PUBLIC_STATUS.values()} if query.status is None else {query.status})
        for name in reversed(names) if query.descending else names:
            if not start or (name <= start if query.descending else name >= start):
                yield name, (query.owner_id, name)
    elif query.sort == "owner":
        for user_id, email in _owners_from(session, query, searched, start):
            yield email, (user_id, query.status or "")
    else:
        yield "", (query.owner_id, query.status or "")


def _owners_from(
    session: Session, query: VideosQuery, searched: Search | None, start: str
) -> Iterator[tuple[str, str]]:
    """The owners of videos that are asked for, by e-mail address."""
    if query.owner_id:
        yield from session.exec(select(User.id, User.email).where(User.id == query.owner_id)).all()
        return
    email = col(User.email)
    found = (
        select(User.id, User.email)
        .join(Counter, col(Counter.scope) == col(User.id))
        .where(_shown(query.status) > 0)
        .order_by(email.desc() if query.descending else email)
        .limit(OWNERS_AT_ONCE)
    )
    if searched:  # each owner costs a statement, so only those with a match are read
        is_match = _has_status(query.status, by_index=not searched.is_rare), searched.condition
        if searched.is_rare:
            found = found.where(col(User.id).in_(select(Video.owner_id).where(*is_match)))
        else:
            found = found.where(exists(select(1).where(col(Video.owner_id) == col(User.id), *is_match)))
    last, is_first = start, True
    while True:
        later = (email < last, email <= last) if query.descending else (email > last, email >= last)
        batch = session.exec(found.where(later[is_first]) if last else found).all()
        yield from batch
        if len(batch) < OWNERS_AT_ONCE:
            return
        last, is_first = batch[-1][1], False


def _has_status(public: str | None, *, by_index: bool = True) -> ColumnElement[bool]:
    """Not ``by_index`` where SQLite would read all videos with a status, in the order of the list, for a few of them."""
    column: Any = col(Video.status)
    status = column if by_index else literal_column("+videos.status", column.type)
    return cast(
        "ColumnElement[bool]",
        status.in_([Status(name) for name, each in PUBLIC_STATUS.items() if public in (None, "", each)]),
    )


def _shown(status: str | None) -> Any:
    """The number of an account's videos with this public status, in SQL."""
    counted = (getattr(Counter, name) for name, public in PUBLIC_STATUS.items() if status in (None, public))
    return reduce(add, map(col, counted))


def _parts(group: Group, searched: Search | None) -> list[cursors.Conditions]:
    owner_id, public = group
    owned = [col(Video.owner_id) == owner_id] if owner_id else []
    if searched and searched.is_rare:
        return [[*owned, _has_status(public, by_index=False), searched.condition]]
    found = [searched.condition] if searched else []
    statuses = [Status(status) for status, each in PUBLIC_STATUS.items() if public in ("", each)]
    return [[*owned, lifecycle.in_status(status), *found] for status in statuses]


def _search(session: Session, q: str) -> "Search | None":
    """Owners are found first: a condition on two tables could use no index."""
    words = q.strip()
    if not words:
        return None
    owners = session.exec(
        select(User.id).where(cursors.contains(User.email, words)).limit(MAX_OWNERS + 1)
    ).all()
    if len(owners) > MAX_OWNERS:
        is_owner = col(Video.owner_id).in_(select(User.id).where(cursors.contains(User.email, words)))
    else:
        is_owner = col(Video.owner_id).in_(owners)
    is_titled = cursors.contains(Video.title, words)
    candidates = _candidates(session, words, owners)
    if candidates is not None:
        is_titled = col(Video.id).in_(candidates) & is_titled
    return Search(or_(is_titled, is_owner) if owners else is_titled, is_rare=candidates is not None)


def _candidates(session: Session, words: str, owners: Sequence[str]) -> Select[Any] | None:
    """The ids of the videos whose title may contain ``words``, if there are few of them and of the owners' videos."""
    if len(owners) > OWNERS_AT_ONCE:
        return None
    owned = select(func.sum(_shown(None))).where(col(Counter.scope).in_(owners))
    if owners and (session.exec(owned).one() or 0) > MAX_COUNTED:
        return None
    ids = search_index.sqlite_candidates(session.connection(), words, MAX_COUNTED)
    if ids is None:
        return None
    each = func.json_each(json.dumps(ids)).table_valued("value")
    return select(each.c.value)


def _totals(session: Session, query: VideosQuery) -> tuple[int, int]:
    """The number of videos and their stored bytes; of a search at most one more than ``MAX_COUNTED``."""
    searched = _search(session, query.q)
    if not searched:
        counted = quota.counts_of(session, query.owner_id) if query.owner_id else quota.counts_of_all(session)
        numbers = [
            number for status, number in counted.by_public_status.items() if query.status in (None, status)
        ]
        return sum(numbers), counted.ready_bytes if query.status in (None, "ready") else 0
    wanted = select(STORED_BYTES.label("size")).where(
        _has_status(query.status, by_index=not searched.is_rare), searched.condition
    )
    if query.owner_id:
        wanted = wanted.where(Video.owner_id == query.owner_id)
    matches = wanted.limit(MAX_COUNTED + 1).subquery()
    count, stored = session.exec(
        select(func.count(), func.coalesce(func.sum(matches.c.size), 0)).select_from(matches)
    ).one()
    return count, int(stored)


def _emails(session: Session, videos: Sequence[Video]) -> Mapping[str, str]:
    """The addresses of the owners, without closed accounts, whose videos are being deleted."""
    owner_ids = {video.owner_id for video in videos}
    found = select(User.id, User.email).where(col(User.id).in_(owner_ids), col(User.closed_at).is_(None))
    return dict(session.exec(found).all())


def _view(video: Video, owner_email: str) -> AdminVideoView:
    return AdminVideoView(
        video=VideoView.of(video),
        owner_id=video.owner_id,
        owner_email=owner_email,
        size=video.size or 0,
        has_poster=video.poster_key is not None,
    )
