"""Finding videos in a gallery: in titles and companies, literally, in any alphabet, and quickly."""

import time
from collections.abc import Callable

import pytest

from videovault.db import transaction
from videovault.models import Status
from videovault.services import lifecycle, videos
from videovault.services.access import Caller
from videovault.services.videos import GalleryQuery

MANY = 500
ANSWER_SECONDS = 0.2

Fill = Callable[..., None]


@pytest.fixture
def fill(anna: Caller) -> Fill:
    """Puts videos with these titles into Anna's gallery."""

    def put(*titles: str, status: Status = Status.READY, company_name: str = "") -> None:
        with transaction() as session:
            session.add_all(
                lifecycle.new_video(anna.user_id, status, title, company_name=company_name)
                for title in titles
            )

    return put


def found(caller: Caller, text: str) -> list[str]:
    view = videos.gallery(caller, caller.user_id, GalleryQuery(q=text, sort="title"), links=False)
    return [video.title for video in view.videos]


def test_title_and_company_are_searched(fill: Fill, anna: Caller) -> None:
    fill("Bread at night", "Rolls")
    fill("Opening hours", company_name="Night Bakery")
    assert found(anna, " NIGHT ") == ["Bread at night", "Opening hours"]
    assert found(anna, "cake") == []


@pytest.mark.parametrize("text", ["%", "_", "/", "\\", "50%", "a_b"])
def test_wildcards_are_taken_literally(fill: Fill, anna: Caller, text: str) -> None:
    fill("Bread", "axb", f"Only {text} here")
    assert found(anna, text) == [f"Only {text} here"]


def test_capitals_do_not_matter_in_any_alphabet(fill: Fill, anna: Caller) -> None:
    fill("Öffnungszeiten", "ΨΩΜΙ", "Хлеб")
    assert found(anna, "öffnungs") == found(anna, "o\u0308ffnungs") == ["Öffnungszeiten"]
    assert found(anna, "ψωμι") == ["ΨΩΜΙ"]
    assert found(anna, "ХЛЕБ") == ["Хлеб"]


def test_drafts_are_counted_beside_the_rest(fill: Fill, anna: Caller) -> None:
    fill("One", "Two", status=Status.DRAFT)
    fill("Three")
    view = videos.gallery(anna, anna.user_id, links=False)
    assert (view.total_count, view.draft_count) == (1, 2)


def test_many_videos_are_searched_quickly(fill: Fill, anna: Caller) -> None:
    fill(*(f"Video number {number}" for number in range(MANY)), company_name="Brot & Söhne")
    took = []
    for _ in range(3):  # whatever else the machine does meanwhile
        began = time.perf_counter()
        assert len(found(anna, "söhne")) == MANY
        took.append(time.perf_counter() - began)
    assert min(took) < ANSWER_SECONDS
