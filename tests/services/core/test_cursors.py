"""Pages by keyset cursor: no row is repeated or skipped while rows come and go."""

from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, delete

from videovault.clock import utcnow
from videovault.db import transaction
from videovault.errors import InvalidInput
from videovault.models import Status, Video
from videovault.services.core import cursors, lifecycle
from videovault.services.core.access import Caller
from videovault.services.videos import gallery
from videovault.services.videos.gallery import GalleryQuery, Sort

START = datetime.fromisoformat("2026-01-01T00:00:00.123456Z")
# Few values, so that many rows are equal in what they are ordered by.
videos = st.fixed_dictionaries(
    {
        "title": st.sampled_from(["Ärger", "bread", "Bread", "ärger 2", "🥖" * 120]),
        "size": st.sampled_from([None, 0, 1, 2**40]),
        "duration": st.sampled_from([None, 0.1, 1 / 3, 1e9]),
        "created_at": st.integers(0, 3).map(lambda number: START + timedelta(microseconds=number)),
    }
)
changes = st.lists(st.one_of(videos, st.integers(0, 30)), max_size=4)


def insert(owner: Caller, *rows: dict[str, Any]) -> list[str]:
    with transaction() as session:
        videos = [lifecycle.new_video(owner.user_id, Status.FAILED, **values) for values in rows]
        session.add_all(videos)
        return [video.id for video in videos]


def remove(*video_ids: str) -> None:
    with transaction() as session:
        session.exec(delete(Video).where(col(Video.id).in_(video_ids)))


def page(caller: Caller, query: GalleryQuery) -> tuple[list[str], str | None]:
    found = gallery.list_videos(caller, caller.user_id, query, links=False)
    return [video.video_id for video in found.videos], found.next_cursor


@pytest.mark.thorough
@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("sort", get_args(Sort))
def test_remaining_rows_are_listed_once_and_in_order_while_others_come_and_go(
    anna: Caller, sort: Sort
) -> None:
    @settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(videos, min_size=1, max_size=12), st.integers(1, 5), st.lists(changes, max_size=6))
    def check(initial: list[dict[str, Any]], limit: int, between_pages: list[list[Any]]) -> None:
        every = insert(anna, *initial)
        stay = set(every)
        seen, cursor = page(anna, GalleryQuery(sort=sort, limit=limit))
        while cursor:
            for change in between_pages.pop() if between_pages else []:
                if isinstance(change, dict):
                    every += insert(anna, change)
                else:
                    gone = every[change % len(every)]
                    remove(gone)
                    stay.discard(gone)
            shown, cursor = page(anna, GalleryQuery(sort=sort, limit=limit, cursor=cursor))
            seen += shown
        assert len(seen) == len(set(seen))
        assert stay <= set(seen)
        whole, _ = page(anna, GalleryQuery(sort=sort))
        assert [each for each in seen if each in stay] == [each for each in whole if each in stay]
        remove(*every)

    check()


@pytest.mark.usefixtures("installation")
def test_a_cursor_is_valid_for_its_own_order_only_and_cannot_be_forged() -> None:
    position = [utcnow(), "Ärger", 2**40, 1 / 3, None, "video_1"]
    cursor = cursors.encode("newest", position)
    assert cursors.decode(cursor, "newest") == position
    for invalid, name in ((cursor, "title"), (cursor[:-1], "newest"), ("", "newest"), ("25", "newest")):
        with pytest.raises(InvalidInput) as refused:
            cursors.decode(invalid, name)
        assert refused.value.fields == {"cursor": cursors.INVALID}


@pytest.mark.parametrize("sort", ["title", "size", "longest"])
def test_a_cursor_of_a_version_with_another_order_is_refused(anna: Caller, sort: Sort) -> None:
    """Those versions named an order after its sort."""
    with pytest.raises(InvalidInput):
        page(anna, GalleryQuery(sort=sort, limit=1, cursor=cursors.encode(sort, [1, "video_1"])))


@pytest.mark.parametrize("cursor", ["-1", "", "²", "1.5", str(2**31), "9" * 18])
def test_a_cursor_that_is_no_id_is_refused(cursor: str) -> None:
    assert cursors.decode_id(str(2**31 - 1)) == 2**31 - 1
    with pytest.raises(InvalidInput):
        cursors.decode_id(cursor)
