"""The admin's table of all videos: finding, selecting, deleting and retrying them, and attaching a file."""

from collections.abc import Callable

import pytest
from sqlmodel import func, select

from tests.state.conftest import Person, Server, Tab
from tests.support.installation import Configure
from tests.support.s3_proxy import s3_proxy
from videovault.db import reading, transaction
from videovault.gateways import storage
from videovault.models import Status, Video
from videovault.services.core import lifecycle
from videovault.state import tables
from videovault.state.admin.videos import AdminVideosState
from videovault.state.admin.webhook_log import AdminAttachFileState
from videovault.state.session import SessionState


@pytest.fixture
def people(person: Callable[[str], Person]) -> dict[str, Person]:
    return {name: person(name) for name in ("admin", "bob")}


@pytest.fixture
def admin(server: Server, people: dict[str, Person]) -> Tab:
    return server.tab(people["admin"].token, address="/admin")


def put(owner: Person, title: str, status: Status = Status.READY, **values: object) -> str:
    with transaction() as session:
        video = lifecycle.new_video(owner.caller.user_id, status, title, **values)
        session.add(video)
    return video.id


@pytest.fixture
def bobs(people: dict[str, Person]) -> list[str]:
    """Two stored videos of Bob's; the ids, newest first."""
    sizes = {"Bread": 3_700_000, "Cake": 408_300_000}
    return [put(people["bob"], title, size=size) for title, size in sizes.items()][::-1]


def choose_all_and(admin: Tab, what: str) -> None:
    admin.send(AdminVideosState, "load")
    admin.send(AdminVideosState, "select_page")
    admin.send(AdminVideosState, "ask", what=what)


def test_admin_sees_all_videos(admin: Tab, bobs: list[str]) -> None:
    admin.send(AdminVideosState, "load")
    table = admin.sees(AdminVideosState)
    assert [(row.card.video_id, row.owner) for row in table.rows] == [
        (one, "bob@example.com") for one in bobs
    ]
    assert (table.access, table.total, table.rows_shown) == ("yes", "2 videos, 412 MB", "1\u20132 of 2")


def test_the_page_does_not_exist_for_other_users(
    server: Server, people: dict[str, Person], bobs: list[str]
) -> None:
    bob = server.tab(people["bob"].token, address="/admin")
    bob.send(AdminVideosState, "load")
    assert (bob.sees(AdminVideosState).access, bob.sees(AdminVideosState).rows) == ("no", [])
    bob.send(AdminVideosState, "search", q="Bread")
    bob.send(AdminVideosState, "select", video_id=bobs[0])
    bob.send(AdminVideosState, "select_matching")
    bob.send(AdminVideosState, "ask", what="delete")
    bob.send(AdminVideosState, "carry_out")
    assert (bob.sees(AdminVideosState).rows, bob.sees(AdminVideosState).selected) == ([], [])
    assert remaining() == 2


def test_filters_search_and_headings_narrow_and_sort(
    admin: Tab, people: dict[str, Person], bobs: list[str]
) -> None:
    put(people["admin"], "Apples", Status.FAILED)
    admin.send(AdminVideosState, "load")

    def seen() -> list[str]:
        return [row.card.title for row in admin.sees(AdminVideosState).rows]

    admin.send(AdminVideosState, "show", status="failed")
    assert seen() == ["Apples"]
    admin.send(AdminVideosState, "show", status="")
    admin.send(AdminVideosState, "search", q="bob@")
    assert seen() == ["Cake", "Bread"]
    admin.send(AdminVideosState, "sort_by", column="title")
    assert (seen(), admin.sees(AdminVideosState).is_descending) == (["Bread", "Cake"], False)
    admin.send(AdminVideosState, "sort_by", column="title")
    assert (seen(), admin.sees(AdminVideosState).is_descending) == (["Cake", "Bread"], True)
    admin.send(AdminVideosState, "sort_by", column="password_hash")
    assert admin.sees(AdminVideosState).sort == "title"
    admin.send(AdminVideosState, "search", q="")
    admin.send(AdminVideosState, "show_owner", user_id=people["admin"].caller.user_id)
    assert seen() == ["Apples"]
    assert [owner.email for owner in admin.sees(AdminVideosState).owners] == [
        "admin@example.com",
        "bob@example.com",
    ]
    assert bobs


def test_what_is_shown_stands_in_the_address(
    server: Server, admin: Tab, people: dict[str, Person], bobs: list[str]
) -> None:
    admin.send(AdminVideosState, "load")
    assert admin.sees(AdminVideosState).address == ""
    admin.send(AdminVideosState, "sort_by", column="size")
    admin.send(AdminVideosState, "reverse_order")
    admin.send(AdminVideosState, "search", q="bob@")
    shown = admin.sees(AdminVideosState).address
    assert shown == "q=bob%40&sort=size&order=up"
    again = server.tab(people["admin"].token, address=f"/admin?{shown}")
    again.send(AdminVideosState, "load")
    assert [row.card.video_id for row in again.sees(AdminVideosState).rows] == bobs[::-1]
    assert again.sees(AdminVideosState).address == shown


def test_confirmation_names_videos_and_owners(admin: Tab, bobs: list[str]) -> None:
    admin.send(AdminVideosState, "load")
    admin.send(AdminVideosState, "ask", what="delete")
    assert not admin.sees(AdminVideosState).confirming
    admin.send(AdminVideosState, "select", video_id=bobs[1])
    assert admin.sees(AdminVideosState).selection.summary == "1 video, 3.7 MB"
    admin.send(AdminVideosState, "select_page")
    table = admin.sees(AdminVideosState)
    assert (table.selection.summary, table.selection.owners) == ("2 videos, 412 MB", "bob@example.com")
    assert table.is_page_selected
    admin.send(AdminVideosState, "select", video_id=bobs[0])
    assert admin.sees(AdminVideosState).selected == [bobs[1]]
    admin.send(AdminVideosState, "ask", what="delete")
    assert admin.sees(AdminVideosState).confirming == "delete"
    admin.send(AdminVideosState, "cancel")
    assert not admin.sees(AdminVideosState).confirming
    admin.send(AdminVideosState, "ask", what="retry")  # nothing of it has failed
    assert not admin.sees(AdminVideosState).confirming


@pytest.mark.usefixtures("moto_s3")
def test_a_confirmation_keeps_its_selection(admin: Tab, bobs: list[str], people: dict[str, Person]) -> None:
    admin.send(AdminVideosState, "load")
    admin.send(AdminVideosState, "select", video_id=bobs[1])
    admin.send(AdminVideosState, "ask", what="delete")
    with transaction() as session:
        session.get_one(Video, bobs[1]).title = "Renamed"
    put(people["admin"], "Apples", size=5)
    for event in ("select_matching", "refresh"):
        admin.send(AdminVideosState, event)
    asked = admin.sees(AdminVideosState).confirmed_selection
    assert (asked.summary, asked.titles, asked.owners) == ("1 video, 3.7 MB", "“Bread”", "bob@example.com")
    admin.send(AdminVideosState, "carry_out")
    outcomes = admin.sees(AdminVideosState).results
    assert [(one.video_id, one.title) for one in outcomes] == [(bobs[1], "Bread")]
    assert remaining() == 2


def test_a_confirmation_closes_when_the_page_is_loaded_again(admin: Tab, bobs: list[str]) -> None:
    choose_all_and(admin, "delete")
    admin.send(AdminVideosState, "load")
    assert admin.sees(AdminVideosState).confirming == ""
    admin.send(AdminVideosState, "carry_out")
    assert remaining() == len(bobs)


def test_ids_that_are_not_in_the_table_cannot_be_selected(admin: Tab, bobs: list[str]) -> None:
    admin.send(AdminVideosState, "load")
    admin.send(AdminVideosState, "select", video_id="video_1_abcdefghi")
    assert admin.sees(AdminVideosState).selected == []
    assert bobs


def test_all_matching_videos_can_be_selected_beyond_the_page(
    admin: Tab, bobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "PAGE", 1)
    admin.send(AdminVideosState, "load")
    admin.send(AdminVideosState, "select_page")
    table = admin.sees(AdminVideosState)
    assert (table.selection.summary, table.all_matching) == ("1 video, 408 MB", "2 videos")
    admin.send(AdminVideosState, "select_matching")
    table = admin.sees(AdminVideosState)
    assert (table.selection.count, table.all_matching) == (2, "")
    admin.send(AdminVideosState, "next")
    table = admin.sees(AdminVideosState)
    assert (table.selected, table.has_next, table.rows_shown) == ([bobs[1]], False, "2\u20132 of 2")
    admin.send(AdminVideosState, "select_none")
    assert admin.sees(AdminVideosState).selection.count == 0


@pytest.mark.usefixtures("moto_s3")
def test_selected_videos_are_deleted_and_each_is_reported(admin: Tab, bobs: list[str]) -> None:
    choose_all_and(admin, "delete")
    with transaction() as session:
        session.delete(session.get(Video, bobs[0]))
    admin.send(AdminVideosState, "carry_out")
    table = admin.sees(AdminVideosState)
    assert [(one.title, one.is_done, one.message) for one in table.results] == [
        ("Cake", False, "There is no such video."),
        ("Bread", True, "Deleted"),
    ]
    assert (table.rows, table.activity, remaining()) == ([], "", 0)
    assert table.verdict == "1 of 2 videos deleted. The others stay selected."


def test_failed_deletions_stay_selected_and_succeed_on_the_next_try(
    admin: Tab, bobs: list[str], moto_s3: storage.Storage, moto_server: str, configure: Configure
) -> None:
    del moto_s3
    with s3_proxy(moto_server) as proxy:
        configure(AWS_ENDPOINT_URL_S3=proxy.url)
        choose_all_and(admin, "delete")
        proxy.refuse = {"GET": [(403, "AccessDenied")]}  # the first video's listing
        admin.send(AdminVideosState, "carry_out")
        table = admin.sees(AdminVideosState)
        assert [(one.video_id, one.is_done) for one in table.results] == [
            (bobs[0], False),
            (bobs[1], True),
        ]
        assert "IAM permissions" in table.results[0].message
        assert table.selection.count == 1
        admin.send(AdminVideosState, "ask", what="delete")
        admin.send(AdminVideosState, "carry_out")
        assert [one.message for one in admin.sees(AdminVideosState).results] == ["Deleted"]
    assert (admin.sees(AdminVideosState).selection.count, remaining()) == (0, 0)


def test_failed_videos_are_retried_together(admin: Tab, people: dict[str, Person]) -> None:
    url = "https://films.example/a.mp4"
    failed = [put(people["bob"], title, Status.FAILED, source_url=url) for title in ("Bread", "Cake")]
    put(people["bob"], "Fine", size=5)
    choose_all_and(admin, "retry")
    assert admin.sees(AdminVideosState).selection.failed == "2 videos"
    admin.send(AdminVideosState, "carry_out")
    table = admin.sees(AdminVideosState)
    assert {one.message for one in table.results} == {"Queued"}
    assert {one.video_id for one in table.results} == set(failed)
    assert [row.card.status for row in table.rows].count("processing") == 2


def test_a_file_is_attached_to_a_stuck_video(
    admin: Tab, people: dict[str, Person], configure: Configure
) -> None:
    configure(SOURCE_ALLOW_HOSTS="127.0.0.1:9")
    stuck = put(people["bob"], "Bread", Status.FAILED)
    admin.send(AdminVideosState, "load")
    assert admin.sees(AdminVideosState).rows[0].is_stuck
    admin.send(AdminAttachFileState, "open", video_id=stuck)
    assert admin.sees(AdminAttachFileState).video.title == "Bread"
    admin.send(AdminAttachFileState, "attach", form={"videoUrl": "nonsense"})
    assert "videoUrl" in admin.sees(SessionState).errors
    admin.send(AdminAttachFileState, "attach", form={"videoUrl": "http://127.0.0.1:10/film.mp4"})
    assert "private network" in admin.sees(SessionState).errors["videoUrl"]
    admin.send(AdminAttachFileState, "attach", form={"videoUrl": "http://127.0.0.1:9/film.mp4"})
    assert admin.sees(AdminAttachFileState).video.video_id == ""
    assert admin.sees(AdminVideosState).rows[0].card.status == "processing"


def test_other_users_attach_no_file(
    server: Server, people: dict[str, Person], person: Callable[[str], Person]
) -> None:
    eve = server.tab(person("eve").token, address="/admin")
    stuck = put(people["bob"], "Bread", Status.FAILED)
    eve.send(AdminAttachFileState, "open", video_id=stuck)
    assert eve.sees(AdminAttachFileState).video.title == ""
    eve.send(AdminAttachFileState, "attach", form={"videoUrl": "https://films.example/a.mp4"})
    with reading() as session:
        assert session.get_one(Video, stuck).status == Status.FAILED


def remaining() -> int:
    with reading() as session:
        return session.exec(select(func.count()).select_from(Video)).one()
