"""Finding videos in a gallery: in titles and companies, literally, in any alphabet."""

from collections.abc import Callable

import pytest

from tests.support.statements import statements
from videovault.db import transaction
from videovault.models import Status
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.videos import gallery
from videovault.services.videos.gallery import GalleryQuery

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
    view = gallery.gallery(caller, caller.user_id, GalleryQuery(q=text, sort="title"), links=False)
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
    view = gallery.gallery(anna, anna.user_id, links=False)
    assert (view.total_count, view.draft_count) == (1, 2)


def test_the_database_is_asked_as_often_however_many_videos_there_are(fill: Fill, anna: Caller) -> None:
    """How long a search takes, `python -m benchmarks.promises` measures."""
    asked = []
    for more in (10, 190):
        fill(*(f"Video number {number}" for number in range(more)), company_name="Brot & Söhne")
        with statements() as seen:
            assert found(anna, "söhne")
        asked.append(len(seen))
    assert asked[0] == asked[1]
