"""The gallery: streaming in pages, search and counts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_args

import httpx
import pytest
from sqlalchemy import event

from tests.support.people import MakeClient, Person
from tests.support.statements import statements
from videovault import db
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.errors import Forbidden
from videovault.gateways.storage import Storage
from videovault.models import Status, Video
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.videos import gallery
from videovault.services.videos.gallery import GalleryQuery, Sort

pytestmark = pytest.mark.thorough

PAGE_SIZE = 20
MANY = 2 * PAGE_SIZE + 5


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "PAGE_SIZE", PAGE_SIZE)


@pytest.fixture
def many(anna: Caller, moto_s3: Storage) -> list[str]:
    """Videos of which many are equal in every sort key."""
    del moto_s3
    began = utcnow()
    with transaction() as session:
        rows = [_row(anna.user_id, number, began - timedelta(seconds=number // 7)) for number in range(MANY)]
        session.add_all(rows)
        return [row.id for row in rows]


def _row(owner_id: str, number: int, created_at: Any) -> Video:
    sizes = {"size": number % 11 or None, "duration": (number % 13) / 3 or None}
    is_ready = number % 5 > 0
    row = lifecycle.new_video(
        owner_id,
        Status.READY if is_ready else Status.FAILED,
        f"{'Ärger' if number % 2 else 'bread'} {number % 17}",
        s3_key=f"videos/{owner_id}/{number}/film.mp4",
        poster_key=f"videos/{owner_id}/{number}/poster.webp" if number % 3 else None,
        created_at=created_at,
        **sizes,
    )
    row.id = f"video_{number:04}"
    return row


@pytest.mark.parametrize("sort", get_args(Sort))
@pytest.mark.parametrize("more", [{}, {"q": "ärger"}, {"status": "ready"}])
def test_the_streamed_pages_make_up_the_whole_list(
    anna: Caller, many: list[str], sort: Sort, more: dict[str, Any]
) -> None:
    del many
    query = GalleryQuery(sort=sort, **more)
    whole = gallery.list_videos(anna, anna.user_id, query)
    pages = list(gallery.stream_gallery(anna, anna.user_id, query))
    assert [video.video_id for page in pages for video in page.videos] == [
        video.video_id for video in whole.videos
    ]
    assert pages[0].model_copy(update={"videos": []}) == whole.model_copy(update={"videos": []})
    assert max(len(page.videos) for page in pages) <= PAGE_SIZE


def test_no_query_reads_more_than_a_page(anna: Caller, many: list[str]) -> None:
    del many
    statements_seen: list[str] = []
    event.listen(
        db.engine(), "before_cursor_execute", lambda *event_args: statements_seen.append(event_args[2])
    )
    list(gallery.stream_gallery(anna, anna.user_id, GalleryQuery()))
    listings = [statement for statement in statements_seen if "ORDER BY" in statement]
    assert len(listings) == MANY // PAGE_SIZE + 1
    assert all(
        "LIMIT" in statement and "OFFSET" not in statement.replace("LIMIT ? OFFSET ?", "")
        for statement in listings
    )


def test_a_video_added_during_streaming_shifts_nothing(anna: Caller, many: list[str]) -> None:
    pages = gallery.stream_gallery(anna, anna.user_id, GalleryQuery())
    seen = [video.video_id for video in next(pages).videos]
    with transaction() as session:
        session.add(lifecycle.new_video(anna.user_id, Status.FAILED, "New"))
    seen += [video.video_id for page in pages for video in page.videos]
    assert sorted(seen) == sorted(many)


def test_another_users_gallery_is_refused_before_any_read(anna: Caller, bert: Caller) -> None:
    with pytest.raises(Forbidden):
        next(gallery.stream_gallery(bert, anna.user_id, GalleryQuery()))


@pytest.fixture
def answer(admin: Person, moto_s3: Storage) -> httpx.Response:
    del moto_s3
    with transaction() as session:
        session.add_all(_row(admin.user_id, number, utcnow()) for number in range(MANY))
    return admin.api.get("/api/auth/video/gallery", params={"userId": admin.user_id})


def test_the_answer_is_one_json_document_with_every_video_and_its_links(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    response = answer.json()
    assert (response["success"], response["message"]) == (True, "Video gallery retrieved successfully")
    shown = response["data"]["videos"]
    assert len({video["videoId"] for video in shown}) == response["data"]["totalCount"] == MANY
    ready = [video for video in shown if video["status"] == "ready"]
    assert len(ready) == response["data"]["readyCount"]
    assert all("X-Amz-Signature" in video["downloadUrl"] for video in ready)
    assert "nextCursor" not in response["data"]


def test_an_empty_gallery_is_an_empty_list(admin: Person) -> None:
    data = admin.api.get("/api/auth/video/gallery", params={"userId": admin.user_id}).json()["data"]
    assert (data["videos"], data["totalCount"]) == ([], 0)


def test_errors_come_before_the_first_byte(admin: Person, ada: Person, make_client: MakeClient) -> None:
    path = f"/api/auth/video/gallery?userId={admin.user_id}"
    assert ada.api.get(path).status_code == 403
    assert make_client().get(path).status_code == 401
    assert admin.api.get(f"{path}&cursor=nonsense").status_code == 400


# Search in titles and company names: literal, case-insensitive, in any alphabet.

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
    view = gallery.list_videos(caller, caller.user_id, GalleryQuery(q=text, sort="title"), links=False)
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


def test_search_ignores_case_in_any_alphabet(fill: Fill, anna: Caller) -> None:
    fill("Öffnungszeiten", "ΨΩΜΙ", "Хлеб")
    assert found(anna, "öffnungs") == found(anna, "o\u0308ffnungs") == ["Öffnungszeiten"]
    assert found(anna, "ψωμι") == ["ΨΩΜΙ"]
    assert found(anna, "ХЛЕБ") == ["Хлеб"]


def test_drafts_are_counted_beside_the_rest(fill: Fill, anna: Caller) -> None:
    fill("One", "Two", status=Status.DRAFT)
    fill("Three")
    view = gallery.list_videos(anna, anna.user_id, links=False)
    assert (view.total_count, view.draft_count) == (1, 2)


def test_the_number_of_queries_does_not_depend_on_the_number_of_videos(fill: Fill, anna: Caller) -> None:
    """The duration of a search is measured by `python -m benchmarks.response_times`."""
    query_counts = []
    for more in (10, 40):
        fill(*(f"Video number {number}" for number in range(more)), company_name="Brot & Söhne")
        with statements() as seen:
            assert found(anna, "söhne")
        query_counts.append(len(seen))
    assert query_counts[0] == query_counts[1]
