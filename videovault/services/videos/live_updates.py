"""Live updates of open pages: the progress of a user's videos, and that something about them has changed."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlmodel import Session, col, or_, select

from videovault.clock import utcnow
from videovault.db import reading
from videovault.models import Event, Video
from videovault.services.core import lifecycle
from videovault.services.core.views import PROCESSING, NoticeView, Progress

# Rows become visible in a different order than they are created, and machines' clocks differ slightly.
RECENT = timedelta(seconds=30)
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


def read_updates(user_ids: Collection[str]) -> Mapping[str, UserUpdates]:
    """The updates of these users, without those that have none: one query for all pages of a process.

    There is no access check: the caller must show each user nothing but that user's own.
    """
    with reading() as session:
        # Only the time in this query, or SQLite picks an index that matches half of the table.
        recent = session.exec(select(Event).where(col(Event.at) > utcnow() - RECENT))
        events = [event for event in recent if event.video_id and event.kind not in IGNORED_KINDS]
        videos = _videos(session, user_ids, {event.video_id or "" for event in events})
    notices = lifecycle.notices_by_owner(events, videos)
    progress: dict[str, dict[str, Progress]] = defaultdict(dict)
    for video in videos.values():
        if video.status in PROCESSING:
            progress[video.owner_id][video.id] = Progress.of(video)
    changes = _changes(events, videos)
    return {
        user_id: UserUpdates(progress[user_id], frozenset(changes[user_id]), notices.get(user_id, ()))
        for user_id in user_ids
        if user_id in progress or user_id in changes
    }


def _videos(session: Session, owner_ids: Collection[str], video_ids: Collection[str]) -> dict[str, Video]:
    in_work = col(Video.status).in_(PROCESSING) & col(Video.owner_id).in_(owner_ids)
    wanted = select(Video).where(or_(in_work, col(Video.id).in_(video_ids)) if video_ids else in_work)
    return {video.id: video for video in session.exec(wanted)}


def _changes(events: Sequence[Event], videos: Mapping[str, Video]) -> dict[str, set[int]]:
    """Event ids by owner; for a deleted video the owner is in the detail of its last event."""
    found: dict[str, set[int]] = defaultdict(set)
    for event in events:
        video = videos.get(event.video_id or "")
        owner = video.owner_id if video else event.detail.get("ownerId")
        if owner:
            found[owner].add(event.id or 0)
    return found
