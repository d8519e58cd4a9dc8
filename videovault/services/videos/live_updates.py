"""Live updates: the progress of the videos of users with open pages, and what has happened to their videos.

There are no access checks: the caller must show each user nothing but that user's own.
"""

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, func, or_, select

from videovault.clock import utcnow
from videovault.db import reading
from videovault.models import Event, Video
from videovault.services.core import lifecycle
from videovault.services.core.views import PROCESSING, NoticeView, Progress

# Rows become visible in a different order than they are created.
RECENT = timedelta(seconds=30)
OVERLAP = timedelta(seconds=5)  # and machines' clocks differ slightly
COMPLETE = timedelta(seconds=15)  # between two reads of everything, for clocks that differ by more
LONGEST_OUTAGE = timedelta(
    minutes=15
)  # after a longer one, pages show older changes once they are loaded again
# Events that change nothing in a gallery.
IGNORED_KINDS = {
    "download",
    "share_download",
    "share_opened",
    "shared",
    "unshared",
    "links",
    "key_read",
    "source_read",
}


@dataclass(frozen=True)
class UserUpdates:
    """The progress of a user's videos, and recent events about any of them.

    ``changes`` are the ids of recent events; a new id means that a list of the user's videos read before may be stale.
    """

    progress: Mapping[str, Progress] = field(default_factory=dict)
    changes: frozenset[int] = frozenset()
    notices: Sequence[NoticeView] = ()


class UpdatesReader:
    """Reads for all pages of a process. It keeps the rows in progress, so that a read loads only what has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, dict[str, Video]] = {}  # in progress, by owner and id
        self._read_at = self._complete_at = self._lost_until = datetime.fromtimestamp(0, UTC)
        self._lost_from: datetime | None = None

    def read(self, user_ids: Collection[str]) -> Mapping[str, UserUpdates]:
        """The updates of these users, without those that have none."""
        with self._lock:
            now = utcnow()
            try:
                return self._read(user_ids, now)
            except SQLAlchemyError:
                self._lost_from = self._lost_from or self._read_at - OVERLAP
                self._lost_until = now + RECENT
                raise

    def _read(self, user_ids: Collection[str], now: datetime) -> Mapping[str, UserUpdates]:
        if now > self._complete_at + COMPLETE:
            self._rows, self._complete_at = {}, now
        with reading() as session:
            # Only the time in this query, or SQLite picks an index that matches half of the table.
            recent = session.exec(select(Event).where(col(Event.at) > self._since(now)))
            events = [event for event in recent if event.video_id and event.kind not in IGNORED_KINDS]
            ended = {event.video_id or "" for event in events}
            named = {video.id: video for video in session.exec(select(Video).where(col(Video.id).in_(ended)))}
            self._keep(user_ids, ended, [*named.values(), *self._changed(session, user_ids)])
        self._read_at = now
        notices = lifecycle.notices_by_owner(events, named)
        changes = _changes(events, named)
        return {
            user_id: UserUpdates(
                {video_id: Progress.of(row) for video_id, row in self._rows[user_id].items()},
                frozenset(changes[user_id]),
                notices.get(user_id, ()),
            )
            for user_id in user_ids
            if self._rows[user_id] or user_id in changes
        }

    def _since(self, now: datetime) -> datetime:
        """When the events that are read begin: in an outage, and for RECENT after it, with its beginning."""
        if self._lost_from and now > self._lost_until:
            self._lost_from = None
        return max(min(self._lost_from or now, now - RECENT), now - LONGEST_OUTAGE)

    def _changed(self, session: Session, user_ids: Collection[str]) -> Iterable[Video]:
        """The rows in progress that may have changed since the last read, and all of users who are new."""
        new = [user_id for user_id in user_ids if user_id not in self._rows]
        since = self._read_at - OVERLAP
        has_changed = or_(
            col(Video.updated_at) > since, col(Video.heartbeat_at) > since, col(Video.owner_id).in_(new)
        )
        is_own = col(Video.owner_id).in_(user_ids)
        return session.exec(select(Video).where(is_own, col(Video.status).in_(PROCESSING), has_changed))

    def _keep(self, user_ids: Collection[str], ended: Collection[str], changed: Iterable[Video]) -> None:
        """Keep the rows in progress. ``ended`` has those that ended or were deleted, since each change of status is an event."""
        self._rows = {
            user_id: {
                video_id: row
                for video_id, row in self._rows.get(user_id, {}).items()
                if video_id not in ended
            }
            for user_id in user_ids
        }
        for row in changed:
            if row.owner_id in self._rows and row.status in PROCESSING:
                self._rows[row.owner_id][row.id] = row


def newest_change() -> int:
    """The id of the newest event; a higher one means that some user's updates have changed."""
    with reading() as session:
        return session.exec(select(func.max(Event.id))).one() or 0


def _changes(events: Sequence[Event], videos: Mapping[str, Video]) -> dict[str, set[int]]:
    """Event ids by owner; for a deleted video the owner is in the detail of its last event."""
    found: dict[str, set[int]] = defaultdict(set)
    for event in events:
        video = videos.get(event.video_id or "")
        owner = video.owner_id if video else event.detail.get("ownerId")
        if owner:
            found[owner].add(event.id or 0)
    return found
