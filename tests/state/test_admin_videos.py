"""The admin's table: everybody's videos for admins, nothing for others."""

from collections.abc import Callable

import pytest
from sqlmodel import func, select

from tests.state.conftest import Person, Server, Tab
from videovault.db import reading, transaction
from videovault.gateways import storage
from videovault.models import Status, Video
from videovault.services import lifecycle
from videovault.state.admin import AdminState


@pytest.fixture
def people(person: Callable[[str], Person]) -> dict[str, Person]:
    return {name: person(name) for name in ("admin", "bob")}


@pytest.fixture
def admin(server: Server, people: dict[str, Person]) -> Tab:
    return server.tab(people["admin"].token, address="/admin")


@pytest.fixture
def bobs(people: dict[str, Person]) -> list[str]:
    """Two stored videos of Bob's; the ids, newest first."""
    ids = []
    for title, size in (("Bread", 3_700_000), ("Cake", 408_300_000)):
        with transaction() as session:
            owner_id = people["bob"].caller.user_id
            video = lifecycle.new_video(owner_id, Status.READY, title, size=size)
            session.add(video)
        ids.append(video.id)
    return ids[::-1]


def test_admin_sees_everybodys_videos(admin: Tab, bobs: list[str]) -> None:
    admin.send(AdminState, "load")
    table = admin.sees(AdminState)
    assert [(row.card.video_id, row.owner) for row in table.rows] == [
        (one, "bob@example.com") for one in bobs
    ]
    assert (table.access, table.total) == ("yes", "2 videos, 412 MB")


def test_for_others_the_page_does_not_exist(
    server: Server, people: dict[str, Person], bobs: list[str]
) -> None:
    bob = server.tab(people["bob"].token, address="/admin")
    bob.send(AdminState, "load")
    assert (bob.sees(AdminState).access, bob.sees(AdminState).rows) == ("no", [])
    bob.send(AdminState, "select", video_id=bobs[0])
    bob.send(AdminState, "select_all")
    bob.send(AdminState, "delete")
    assert bob.sees(AdminState).selected == []
    assert _remaining() == 2


def test_summary_says_what_would_go(admin: Tab, bobs: list[str]) -> None:
    admin.send(AdminState, "load")
    admin.send(AdminState, "ask")
    assert not admin.sees(AdminState).is_asking
    admin.send(AdminState, "select", video_id=bobs[1])
    assert admin.sees(AdminState).summary == "1 video, 3.7 MB"
    admin.send(AdminState, "select_all")
    assert (admin.sees(AdminState).summary, admin.sees(AdminState).is_everything_selected) == (
        "2 videos, 412 MB",
        True,
    )
    admin.send(AdminState, "select", video_id=bobs[0])
    assert admin.sees(AdminState).selected == [bobs[1]]
    admin.send(AdminState, "ask")
    assert admin.sees(AdminState).is_asking
    admin.send(AdminState, "spare")
    assert not admin.sees(AdminState).is_asking


def test_ids_that_are_not_in_the_table_cannot_be_selected(admin: Tab, bobs: list[str]) -> None:
    admin.send(AdminState, "load")
    admin.send(AdminState, "select", video_id="video_1_abcdefghi")
    assert admin.sees(AdminState).selected == []
    assert bobs


def test_selected_videos_are_deleted_and_each_is_reported(
    admin: Tab, bobs: list[str], moto_s3: storage.Storage
) -> None:
    del moto_s3
    admin.send(AdminState, "load")
    admin.send(AdminState, "select_all")
    with transaction() as session:
        session.delete(session.get(Video, bobs[0]))
    admin.send(AdminState, "delete")
    table = admin.sees(AdminState)
    assert [(one.title, one.is_deleted, one.message) for one in table.outcomes] == [
        ("Cake", False, "There is no such video."),
        ("Bread", True, "Deleted"),
    ]
    assert (table.rows, table.selected, table.is_deleting, _remaining()) == ([], [], False, 0)


def _remaining() -> int:
    with reading() as session:
        return session.exec(select(func.count()).select_from(Video)).one()
