"""A video's status moves only along the drawn ways, and only for whoever saw its latest state."""

import itertools

import pytest
from sqlmodel import col, select

from videovault.db import reading, transaction
from videovault.errors import Conflict
from videovault.models import Event, Status, User, Video, now
from videovault.services.core import lifecycle

pytestmark = pytest.mark.usefixtures("installation")
PAIRS = list(itertools.product(Status, Status))
# Drawn once more, from the design (and a ready video fails when S3 has lost its object, and one that is generating is
# ready when the generator's answer was the video itself), so that the code is held against something.
WAYS = """
draft: generating deleting
generating: queued ready failed deleting
queued: storing failed deleting
storing: ready queued failed deleting
ready: failed deleting
failed: generating queued deleting
"""
DRAWN = {
    (Status(old), Status(new))
    for old, news in (line.split(":") for line in WAYS.strip().splitlines())
    for new in news.split()
}
LEGAL = [pair for pair in PAIRS if pair in DRAWN]
ILLEGAL = [pair for pair in PAIRS if pair not in DRAWN]


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


def events() -> list[Event]:
    with reading() as session:
        return list(session.exec(select(Event)))


@pytest.mark.parametrize(("old", "new"), LEGAL, ids=str)
def test_every_drawn_way_is_taken_and_leaves_one_event(old: Status, new: Status) -> None:
    video = kept(old)
    with transaction() as session:
        assert lifecycle.move(session, video, new)
    assert status_of(video) == new
    assert [(event.detail["from"], event.detail["to"]) for event in events()] == [(old, new)]


@pytest.mark.parametrize(("old", "new"), ILLEGAL, ids=str)
def test_every_other_way_is_refused_and_leaves_nothing(old: Status, new: Status) -> None:
    video = kept(old)
    with transaction() as session, pytest.raises(Conflict):
        lifecycle.move(session, video, new)
    assert (status_of(video), events()) == (old, [])


@pytest.mark.parametrize(("old", "new"), LEGAL, ids=str)
@pytest.mark.parametrize("since", ["status", "attempt"])
def test_a_way_from_a_state_that_has_passed_changes_nothing(old: Status, new: Status, since: str) -> None:
    """Whatever is legal for what was seen is nothing at all once the row has moved on."""
    video = kept(old)
    other = next(status for status in Status if status != old)
    with transaction() as session:
        row = session.get_one(Video, video.id)
        setattr(row, since, other if since == "status" else row.attempt + 1)
    with reading() as session:
        before = session.get_one(Video, video.id).model_dump()
    with transaction() as session:
        assert not lifecycle.move(session, video, new, title="Changed")
        assert not lifecycle.change(session, video, title="Changed")
    with reading() as session:
        assert session.get_one(Video, video.id).model_dump() == before
    assert events() == []


@pytest.mark.parametrize(
    ("who", "by"),
    [
        ({"actor_id": "somebody"}, "person"),
        ({}, "worker"),
        ({"by": "generator"}, "generator"),
        ({"by": "repair"}, "repair"),
    ],
)
def test_a_change_leaves_an_event_that_tells_from_to_why_and_by_whom(who: lifecycle.Who, by: str) -> None:
    video = kept(Status.QUEUED)
    with transaction() as session:
        lifecycle.move(session, video, Status.STORING, why="claimed", **who)
    event = events()[0]
    assert event.detail == {"from": "queued", "to": "storing", "why": "claimed", "by": by}
    assert (event.actor_id, event.video_id) == (who.get("actor_id"), video.id)


def test_a_change_may_depend_on_more_than_status_and_attempt() -> None:
    video = kept(Status.GENERATING)
    unasked = col(Video.requested_at).is_(None)
    outcomes = []
    for _ in range(2):
        with transaction() as session:
            outcomes.append(lifecycle.change(session, video, unasked, requested_at=now()))
    assert outcomes == [True, False]


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
