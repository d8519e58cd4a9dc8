"""All users' videos, searched and paged by the database."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.support.statements import statements
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.errors import Forbidden
from videovault.models import Status, User, Video
from videovault.services.admin import videos
from videovault.services.admin.videos import SORTED_BY, Column, VideosQuery
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller

Put = Callable[..., Video]


@pytest.fixture
def put() -> Put:
    """Inserts a video, each a minute younger than the previous one."""
    made = [0]

    def store(owner: Caller, title: str, status: Status = Status.READY, **values: object) -> Video:
        made[0] += 1
        with transaction() as session:
            video = lifecycle.new_video(owner.user_id, status, title, **values)
            video.id = f"video_{made[0]:013}_abcdefghi"  # those made within a millisecond have no order
            video.created_at = utcnow() + timedelta(minutes=made[0])
            session.add(video)
        return video

    return store


def titles(caller: Caller, **query: object) -> list[str]:
    found = videos.find_videos(caller, VideosQuery(**query))  # type: ignore[arg-type] # as the test says
    return [each.video.title for each in found.videos]


def pages(caller: Caller, **query: Any) -> list[list[str]]:
    found: list[list[str]] = []
    cursor = ""
    while not found or cursor:
        page = videos.find_videos(caller, VideosQuery(cursor=cursor, **query))
        found.append([each.video.title for each in page.videos])
        cursor = page.next_cursor or ""
    return found


@pytest.fixture
def some(anna: Caller, bert: Caller, put: Put) -> None:
    put(anna, "Bread", size=3_000_000)
    put(bert, "apple cake", size=9_000_000)
    put(bert, "Waffles", Status.QUEUED, size=50_000_000)
    put(anna, "50% off", Status.FAILED)
    put(anna, "Draft", Status.DRAFT)
    put(anna, "Going", Status.DELETING)


@pytest.mark.usefixtures("some")
def test_the_search_covers_titles_and_owners(anna: Caller, bert: Caller) -> None:
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
def test_pages_are_complete_and_totals_cover_all_pages(anna: Caller) -> None:
    for column in SORTED_BY:
        whole = titles(anna, sort=column)
        assert [title for page in pages(anna, sort=column, limit=2) for title in page] == whole
        assert len(pages(anna, sort=column, limit=5)) == 1
    by_title = pages(anna, sort="title", descending=False, limit=2)
    assert by_title == [["50% off", "apple cake"], ["Bread", "Draft"], ["Waffles"]]
    found = videos.find_videos(anna, VideosQuery(limit=1))
    assert (found.total_count, found.total_bytes) == (5, 12_000_000)  # what is not stored yet takes nothing


@pytest.mark.usefixtures("some")
def test_all_matching_videos_are_selected_with_their_details(anna: Caller) -> None:
    picked = videos.select_videos(anna, VideosQuery(q="bert@", limit=1))
    assert [(each.title, each.owner_email, each.size) for each in picked] == [
        ("Waffles", "bert@example.com", 0),
        ("apple cake", "bert@example.com", 9_000_000),
    ]


@pytest.mark.usefixtures("some")
def test_owners_are_users_with_videos(anna: Caller, bert: Caller) -> None:
    assert [owner.user_id for owner in videos.list_owners(anna)] == [anna.user_id, bert.user_id]


def test_nobody_else_may(bert: Caller) -> None:
    for call in (videos.find_videos, videos.select_videos):
        with pytest.raises(Forbidden):
            call(bert, VideosQuery())
    with pytest.raises(Forbidden):
        videos.list_owners(bert)


@pytest.mark.parametrize(
    "query",
    [
        VideosQuery(limit=5),
        VideosQuery(limit=5, sort="title", descending=False),
        VideosQuery(limit=5, sort="owner", q="video"),
        VideosQuery(limit=5, sort="size", status="ready"),
    ],
)
def test_the_number_of_queries_does_not_depend_on_the_number_of_videos(
    anna: Caller, bert: Caller, query: VideosQuery
) -> None:
    """How long it takes with ten thousand, `python -m benchmarks.response_times` measures."""
    query_counts = []
    for more in (10, 190):
        with transaction() as session:
            for owner in (anna, bert):
                session.add_all(
                    lifecycle.new_video(owner.user_id, Status.READY, f"Video {number}")
                    for number in range(more)
                )
        with statements() as seen:
            assert len(videos.find_videos(anna, query).videos) == 5
        query_counts.append(len(seen))
    assert query_counts[0] == query_counts[1]


@pytest.mark.parametrize("find", [videos.find_videos, videos.select_videos])
def test_a_search_by_owner_reads_only_owners_who_have_a_match(
    anna: Caller, put: Put, find: Callable[[Caller, VideosQuery], object]
) -> None:
    put(anna, "Needle")
    with statements() as alone:
        find(anna, VideosQuery(q="needle", sort="owner"))
    with transaction() as session:
        people = [User(email=f"{number}@example.com", password_hash="x") for number in range(9)]
        session.add_all(people)
        session.flush()
        session.add_all(lifecycle.new_video(user.id, Status.READY, "Hay") for user in people)
        session.add(lifecycle.new_video(people[0].id, Status.DRAFT, "Needle"))
    with statements() as among_others:
        find(anna, VideosQuery(q="needle", sort="owner", status="ready"))
    assert len(among_others) == len(alone)
    assert titles(anna, q="needle", sort="owner", descending=False) == ["Needle", "Needle"]
