"""Live updates for all open pages come from one query and contain only each user's own videos."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select

from tests.support.database_outage import database_away
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.gateways.storage import Storage
from videovault.models import Event, Status, Video
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.transfer import pipeline
from videovault.services.videos import deletion, gallery, live_updates
from videovault.services.videos.live_updates import UpdatesReader, UserUpdates

STORED: dict[str, Any] = {"size": 3_700_000, "format": "mp4", "duration": 20.0}
FAILURE: dict[str, Any] = {"error_code": "SOURCE_FAILED", "error_message": "Gone."}

Storing = Callable[..., Video]


@pytest.fixture
def storing(anna: Caller) -> Storing:
    """A video that is being stored, by default Anna's."""

    def make(title: str = "Bread", owner: Caller = anna) -> Video:
        with transaction() as session:
            video = lifecycle.new_video(
                owner.user_id,
                Status.STORING,
                title,
                bytes_done=1_000,
                bytes_total=4_000,
                source_url="https://cdn.example/film.mp4",
            )
            session.add(video)
        return video

    return make


def end(video: Video, to: Status, **values: Any) -> None:
    with transaction() as session:
        assert lifecycle.transition(session, video, to, why="tested", **values)


def seen_by(caller: Caller) -> UserUpdates:
    return UpdatesReader().read([caller.user_id]).get(caller.user_id, UserUpdates())


def test_progress_is_visible_to_its_owner_only(storing: Storing, anna: Caller, bert: Caller) -> None:
    video, berts = storing(), storing("Rolls", bert)
    found = UpdatesReader().read([anna.user_id, bert.user_id])
    assert found[anna.user_id].progress.keys() == {video.id}
    assert found[anna.user_id].progress[video.id].percent == 25
    assert found[bert.user_id].progress.keys() == {berts.id}


def test_only_users_with_open_pages_are_read(storing: Storing, anna: Caller, bert: Caller) -> None:
    end(storing(owner=bert), Status.READY, **STORED)
    storing("Rolls", bert)
    assert UpdatesReader().read([anna.user_id]) == {}


@contextmanager
def loaded_videos() -> Iterator[list[str]]:
    """The ids of the rows that are read in the block."""
    found: list[str] = []

    def note(video: Video, *_more: Any) -> None:
        found.append(video.id)

    event.listen(Video, "load", note)
    try:
        yield found
    finally:
        event.remove(Video, "load", note)


def test_a_reader_loads_only_what_has_changed(
    storing: Storing, anna: Caller, bert: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [storing(f"Film {number}") for number in range(5)]
    monkeypatch.setattr(live_updates, "OVERLAP", timedelta(0))
    reader = UpdatesReader()
    assert len(reader.read([anna.user_id])[anna.user_id].progress) == 5
    with transaction() as session:
        assert lifecycle.update_if_unchanged(session, videos[2], bytes_done=3_000)
    with loaded_videos() as loaded:
        progress = reader.read([anna.user_id])[anna.user_id].progress
    assert loaded == [videos[2].id]
    assert (len(progress), progress[videos[2].id].percent) == (5, 75)
    berts = storing("Rolls", bert)
    with loaded_videos() as loaded:
        assert berts.id in reader.read([anna.user_id, bert.user_id])[bert.user_id].progress
    assert loaded == [berts.id]


def test_a_reader_forgets_what_has_ended_or_is_gone(storing: Storing, anna: Caller, moto_s3: Storage) -> None:
    del moto_s3
    ended, deleted, going_on = storing("One"), storing("Two"), storing("Three")
    reader = UpdatesReader()
    reader.read([anna.user_id])
    end(ended, Status.READY, **STORED)
    deletion.delete(anna, deleted.id)
    assert set(reader.read([anna.user_id])[anna.user_id].progress) == {going_on.id}
    assert reader.read([]) == {}


def test_what_happened_in_an_outage_is_a_change_after_it(storing: Storing, anna: Caller) -> None:
    video, reader = storing(), UpdatesReader()
    seen = reader.read([anna.user_id])[anna.user_id].changes
    reader._read_at -= timedelta(minutes=2)  # when the outage began
    with database_away(), pytest.raises(OperationalError):
        reader.read([anna.user_id])
    with transaction() as session:
        session.add(Event(kind="renamed", video_id=video.id, at=utcnow() - timedelta(minutes=1)))
    assert reader.read([anna.user_id])[anna.user_id].changes - seen
    assert reader.read([anna.user_id])[anna.user_id].changes - seen, "for pages that look a little later"


def test_an_event_is_a_newer_change(storing: Storing, anna: Caller) -> None:
    video = storing()
    before = live_updates.newest_change()
    gallery.rename(anna, video.id, "Rolls")
    assert live_updates.newest_change() > before


def test_progress_alone_is_not_a_change_of_the_list(storing: Storing, anna: Caller) -> None:
    video = storing()
    with transaction() as session:
        assert lifecycle.update_if_unchanged(session, video, bytes_done=2_000)
    assert seen_by(anna).changes == frozenset()


def test_outcomes_renames_and_deletions_are_changes_for_the_owner(
    storing: Storing, anna: Caller, bert: Caller, moto_s3: Storage
) -> None:
    del moto_s3
    video = storing()
    seen = seen_by(anna).changes
    changes: list[Callable[[], object]] = [
        lambda: end(video, Status.FAILED, **FAILURE),
        lambda: gallery.rename(anna, video.id, "Rolls"),
        lambda: deletion.delete(anna, video.id),
    ]
    for change in changes:
        change()
        now_seen = seen_by(anna).changes
        assert now_seen - seen
        seen = now_seen
    assert seen_by(bert).changes == frozenset()


def test_a_video_deleted_between_two_reads_is_still_a_change(
    storing: Storing, anna: Caller, moto_s3: Storage
) -> None:
    """The row that names its owner is gone."""
    del moto_s3
    deletion.delete(anna, storing().id)
    with transaction() as session:
        for event in session.exec(select(Event).where(col(Event.kind) != "deleted")):
            session.delete(event)
    assert len(seen_by(anna).changes) == 1


def test_events_without_effect_on_the_gallery_are_not_changes(storing: Storing, anna: Caller) -> None:
    video = storing()
    with transaction() as session:
        session.add(Event(kind="share_opened", video_id=video.id))
    assert seen_by(anna).changes == frozenset()


def test_notices_are_in_order_and_for_the_owner_only(storing: Storing, anna: Caller) -> None:
    first, second = storing("One"), storing("Two")
    storing("In work")
    end(first, Status.READY, **STORED)
    end(second, Status.FAILED, **FAILURE)
    notices = [(notice.title, notice.reason) for notice in seen_by(anna).notices]
    assert notices == [("One", ""), ("Two", "Gone.")]


def test_old_events_give_no_notice(storing: Storing, anna: Caller) -> None:
    video = storing()
    end(video, Status.FAILED, **FAILURE)
    with transaction() as session:
        event = session.exec(select(Event).where(Event.video_id == video.id)).one()
        event.at = utcnow() - live_updates.RECENT - timedelta(seconds=1)
    assert seen_by(anna) == UserUpdates()


def test_a_failure_that_is_being_retried_gives_no_notice(storing: Storing, anna: Caller) -> None:
    video = storing()
    end(video, Status.FAILED, **FAILURE)
    enqueued: list[str] = []
    pipeline.retry(anna, video.id, enqueue=enqueued.append)
    assert enqueued == [video.id]
    assert seen_by(anna).notices == ()


def test_a_cancellation_gives_no_notice(storing: Storing, anna: Caller) -> None:
    pipeline.cancel(anna, storing().id)
    assert seen_by(anna).notices == ()
