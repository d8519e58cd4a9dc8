"""A video's status moves only along the drawn ways, and only for whoever saw its latest state."""

import itertools

import pytest
from sqlmodel import select

from videovault.db import reading, transaction
from videovault.errors import Conflict
from videovault.models import Event, Status, User, Video
from videovault.services import lifecycle

pytestmark = pytest.mark.usefixtures("installation")
PAIRS = list(itertools.product(Status, Status))


def kept(status: Status) -> Video:
    with transaction() as session:
        user = User(email="a@example.com", password_hash="-")
        session.add(user)
        session.flush()
        video = lifecycle.new_video(user.id, status, "A title")
        session.add(video)
    return video


def status_of(video: Video) -> str:
    with reading() as session:
        found = session.get(Video, video.id)
        assert found
        return found.status


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=str)
def test_every_pair_of_states_is_either_a_way_or_refused(old: Status, new: Status) -> None:
    video = kept(old)
    with transaction() as session:
        if new in lifecycle.LEGAL[old]:
            assert lifecycle.move(session, video, new)
        else:
            with pytest.raises(Conflict):
                lifecycle.move(session, video, new)
    assert status_of(video) == (new if new in lifecycle.LEGAL[old] else old)


def test_a_change_leaves_an_event_that_tells_from_to_why_and_by_whom() -> None:
    video = kept(Status.QUEUED)
    with transaction() as session:
        lifecycle.move(session, video, Status.STORING, actor_id="somebody", why="claimed")
    with reading() as session:
        event = session.exec(select(Event)).one()
    assert event.detail == {"from": "queued", "to": "storing", "why": "claimed"}
    assert (event.actor_id, event.video_id) == ("somebody", video.id)


def test_whoever_saw_an_older_attempt_changes_nothing() -> None:
    video = kept(Status.QUEUED)
    with transaction() as session:
        assert lifecycle.move(session, video, Status.STORING, attempt=video.attempt + 1)
    late = Video(**video.model_dump() | {"status": Status.STORING})
    with transaction() as session:
        assert not lifecycle.move(session, late, Status.FAILED)
        assert not lifecycle.change(session, late, bytes_done=5)
    assert status_of(video) == Status.STORING


def test_of_two_who_saw_the_same_state_one_wins() -> None:
    video = kept(Status.QUEUED)
    with transaction() as one:
        first = one.get(Video, video.id)
        assert first
    with transaction() as other:
        second = other.get(Video, video.id)
        assert second
    outcomes = []
    for seen in (first, second):
        with transaction() as session:
            outcomes.append(lifecycle.move(session, seen, Status.STORING, attempt=seen.attempt + 1))
    assert outcomes == [True, False]
