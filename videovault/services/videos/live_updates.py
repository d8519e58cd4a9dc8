"""What open pages watch: how far their people's videos are, and that something about one of them is new."""

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

# Rows become visible in another order than they are made, and the clocks of machines differ a little.
RECENT = timedelta(seconds=30)
# They change nothing that a gallery shows.
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
    """What moves by itself among a person's videos: those in work, and what happened to any of late.

    ``changes`` are the numbers of the late events; a number that was not there before means that a list of the
    person's videos which was read before may be wrong by now.
    """

    progress: Mapping[str, Progress] = field(default_factory=dict)
    changes: frozenset[int] = frozenset()
    notices: Sequence[NoticeView] = ()


def read_updates(people: Collection[str]) -> Mapping[str, UserUpdates]:
    """The pulse of each of these people whose videos move: one look for all pages of a process.

    Nobody is checked: whoever asks must show to each person nothing but that person's own.
    """
    with reading() as session:
        # Nothing but the time in this query, or SQLite takes an index that half of the table is behind.
        late = session.exec(select(Event).where(col(Event.at) > utcnow() - RECENT))
        events = [event for event in late if event.video_id and event.kind not in IGNORED_KINDS]
        videos = _videos(session, people, {event.video_id or "" for event in events})
    told = lifecycle.notices_by_owner(events, videos)
    progress: dict[str, dict[str, Progress]] = defaultdict(dict)
    for video in videos.values():
        if video.status in PROCESSING:
            progress[video.owner_id][video.id] = Progress.of(video)
    changes = _changes(events, videos)
    return {
        person: UserUpdates(progress[person], frozenset(changes[person]), told.get(person, ()))
        for person in people
        if person in progress or person in changes
    }


def _videos(session: Session, people: Collection[str], named: Collection[str]) -> dict[str, Video]:
    in_work = col(Video.status).in_(PROCESSING) & col(Video.owner_id).in_(people)
    wanted = select(Video).where(or_(in_work, col(Video.id).in_(named)) if named else in_work)
    return {video.id: video for video in session.exec(wanted)}


def _changes(events: Sequence[Event], videos: Mapping[str, Video]) -> dict[str, set[int]]:
    """The events by owner; a video that is gone is known by what its deletion has left."""
    found: dict[str, set[int]] = defaultdict(set)
    for event in events:
        video = videos.get(event.video_id or "")
        owner = video.owner_id if video else event.detail.get("ownerId")
        if owner:
            found[owner].add(event.id or 0)
    return found
