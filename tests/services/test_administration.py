"""Everybody's videos, found and paged by the database, however many there are."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import insert

from videovault.db import transaction
from videovault.errors import Forbidden
from videovault.models import Status, Video, now
from videovault.services import administration, lifecycle
from videovault.services.access import Caller
from videovault.services.administration import Column, VideosQuery

Put = Callable[..., Video]


@pytest.fixture
def put() -> Put:
    """Stores a video, each a minute younger than the one before."""
    made = [0]

    def store(owner: Caller, title: str, status: Status = Status.READY, **values: object) -> Video:
        made[0] += 1
        with transaction() as session:
            video = lifecycle.new_video(owner.user_id, status, title, **values)
            video.id = f"video_{made[0]:013}_abcdefghi"  # those made within a millisecond have no order
            video.created_at = now() + timedelta(minutes=made[0])
            session.add(video)
        return video

    return store


def titles(caller: Caller, **query: object) -> list[str]:
    found = administration.find_videos(caller, VideosQuery(**query))  # type: ignore[arg-type] # as the test says
    return [each.video.title for each in found.videos]


@pytest.fixture
def some(anna: Caller, bert: Caller, put: Put) -> None:
    put(anna, "Bread", size=3_000_000)
    put(bert, "apple cake", size=9_000_000)
    put(bert, "Waffles", Status.QUEUED, size=50_000_000)
    put(anna, "50% off", Status.FAILED)
    put(anna, "Draft", Status.DRAFT)
    put(anna, "Going", Status.DELETING)


@pytest.mark.usefixtures("some")
def test_a_search_looks_at_titles_and_owners(anna: Caller, bert: Caller) -> None:
    assert titles(anna, q="CAKE") == ["apple cake"]
    assert titles(anna, q=" bert@ ") == ["Waffles", "apple cake"]
    assert titles(anna, q="%") == ["50% off"]
    assert titles(anna, owner_id=bert.user_id, status="ready") == ["apple cake"]
    assert titles(anna, status="draft") == ["Draft"]


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("column", "rising"),
    [
        ("title", ["50% off", "apple cake", "Bread", "Draft", "Waffles"]),
        ("owner", ["Bread", "50% off", "Draft", "apple cake", "Waffles"]),
        ("status", ["Draft", "50% off", "Waffles", "Bread", "apple cake"]),
        ("size", ["Waffles", "50% off", "Draft", "Bread", "apple cake"]),
        ("created", ["Bread", "apple cake", "Waffles", "50% off", "Draft"]),
    ],
)
def test_every_column_sorts_both_ways(anna: Caller, column: Column, rising: list[str]) -> None:
    assert titles(anna, sort=column, descending=False) == rising
    assert titles(anna, sort=column) == rising[::-1]


@pytest.mark.usefixtures("some")
def test_pages_follow_each_other_and_the_totals_are_over_all(anna: Caller) -> None:
    pages = [titles(anna, sort="title", descending=False, offset=offset, limit=2) for offset in (0, 2, 4)]
    assert pages == [["50% off", "apple cake"], ["Bread", "Draft"], ["Waffles"]]
    found = administration.find_videos(anna, VideosQuery(limit=1))
    assert (found.total_count, found.total_bytes) == (5, 12_000_000)  # what is not stored yet takes nothing


@pytest.mark.usefixtures("some")
def test_all_that_match_are_picked_with_what_goes_with_them(anna: Caller) -> None:
    picked = administration.pick_videos(anna, VideosQuery(q="bert@", limit=1, offset=1))
    assert [(each.title, each.owner_email, each.size) for each in picked] == [
        ("Waffles", "bert@example.com", 0),
        ("apple cake", "bert@example.com", 9_000_000),
    ]


@pytest.mark.usefixtures("some")
def test_owners_are_those_who_have_videos(anna: Caller, bert: Caller) -> None:
    assert [owner.user_id for owner in administration.owners(anna)] == [anna.user_id, bert.user_id]


def test_nobody_else_may(bert: Caller) -> None:
    for call in (administration.find_videos, administration.pick_videos):
        with pytest.raises(Forbidden):
            call(bert, VideosQuery())
    with pytest.raises(Forbidden):
        administration.owners(bert)


def test_ten_thousand_videos_are_no_reason_to_wait(anna: Caller, ten_thousand: None) -> None:
    del ten_thousand
    for query in (
        VideosQuery(limit=50),
        VideosQuery(limit=50, sort="title", offset=9_000),
        VideosQuery(limit=50, sort="owner", q="video 7"),
        VideosQuery(limit=50, sort="size", status="failed"),
    ):
        fastest = min(_seconds(anna, query) for _ in range(3))
        assert fastest < 0.3, query  # 20 to 60 ms when nothing else runs


@pytest.fixture
def ten_thousand(anna: Caller, bert: Caller) -> None:
    owners = (anna.user_id, bert.user_id)
    at = now()
    rows = [
        Video(
            id=f"video_{number:013}_abcdefghi",
            owner_id=owners[number % 2],
            title=f"Video {number}",
            status=Status.READY if number % 10 else Status.FAILED,
            sealed_key="x",
            size=number,
            created_at=at - timedelta(minutes=number),
        ).model_dump()
        for number in range(10_000)
    ]
    with transaction() as session:
        session.execute(insert(Video), rows)


def _seconds(caller: Caller, query: VideosQuery) -> float:
    begun = time.perf_counter()
    assert administration.find_videos(caller, query).videos
    return time.perf_counter() - begun
