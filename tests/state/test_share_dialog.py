"""The share dialog of the owner."""

from collections.abc import Callable

import pytest
from sqlmodel import select

from tests.state.conftest import PASSWORD, Person, Server, Tab
from tests.support.videos import insert_video
from videovault.db import reading
from videovault.models import Event, Status
from videovault.services import sharing
from videovault.services.accounts import accounts
from videovault.state.session import SessionState
from videovault.state.share_dialog import ShareDialogState


@pytest.fixture
def ada(person: Callable[[str], Person]) -> Person:
    return person("ada")


@pytest.fixture
def video_id(ada: Person, moto_s3: object) -> str:
    del moto_s3
    return insert_video(ada.caller, Status.READY, s3_key="videos/a/b/1_a.mp4")


@pytest.fixture
def tab(server: Server, ada: Person, video_id: str) -> Tab:
    """With the dialog open."""
    tab = server.tab(ada.token, address="/gallery")
    tab.send(ShareDialogState, "open", video_id=video_id)
    return tab


def test_the_dialog_shows_the_link_and_forgets_it_when_closed(tab: Tab, ada: Person, video_id: str) -> None:
    link = tab.sees(ShareDialogState).link
    assert link.url == sharing.get_link(ada.caller, video_id).url
    assert (link.title, link.is_open, link.expires_at, link.views_used) == (
        "A title",
        True,
        "",
        "Not opened yet.",
    )
    tab.send(ShareDialogState, "close")
    assert tab.sees(ShareDialogState).link.url == ""


def test_limits_are_kept_and_shown(tab: Tab) -> None:
    tab.send(ShareDialogState, "limit", form={"expiresInDays": " 7 ", "mostViews": "1000"})
    link = tab.sees(ShareDialogState).link
    assert (link.days, link.most_views, link.views_used) == ("7", "1000", "Views used: 0 of 1,000.")
    assert link.expires_at.endswith("Z")
    tab.send(ShareDialogState, "limit", form={"expiresInDays": "", "mostViews": ""})
    assert tab.sees(ShareDialogState).link.expires_at == ""


@pytest.mark.parametrize("typed", ["0", "-1", "soon", "2.5", "1" * 9, "1" * 30, "²"])
def test_invalid_limit_is_reported_beside_its_field(tab: Tab, typed: str) -> None:
    tab.send(ShareDialogState, "limit", form={"expiresInDays": typed, "mostViews": ""})
    assert set(tab.sees(SessionState).errors) == {"expiresInDays"}
    assert tab.sees(ShareDialogState).link.expires_at == ""


def test_a_link_is_closed_and_opened_again(tab: Tab) -> None:
    tab.send(ShareDialogState, "stop")
    assert not tab.sees(ShareDialogState).link.is_open
    tab.send(ShareDialogState, "limit", form={})
    assert tab.sees(ShareDialogState).link.is_open


def test_a_new_key_asks_first(tab: Tab) -> None:
    before = tab.sees(ShareDialogState).link.url
    tab.send(ShareDialogState, "renew")
    tab.send(ShareDialogState, "ask")
    tab.send(ShareDialogState, "cancel")
    tab.send(ShareDialogState, "renew")
    assert tab.sees(ShareDialogState).link.url == before
    tab.send(ShareDialogState, "ask")
    tab.send(ShareDialogState, "renew")
    after = tab.sees(ShareDialogState)
    assert after.link.url != before
    assert not after.is_asking
    assert not after.is_busy


def test_other_users_neither_see_nor_change_the_link(
    server: Server, person: Callable[[str], Person], tab: Tab, video_id: str, ada: Person
) -> None:
    before = sharing.get_link(ada.caller, video_id)
    bob = server.tab(person("bob").token, address="/gallery")
    signed_out = server.tab(address="/gallery")
    for stranger in (bob, signed_out):
        stranger.send(ShareDialogState, "open", video_id=video_id)
        for handler in ("stop", "ask", "renew"):
            stranger.send(ShareDialogState, handler)
        stranger.send(ShareDialogState, "limit", form={"mostViews": "1"})
        assert stranger.sees(ShareDialogState).link.url == ""
        assert before.url not in stranger.received
    assert sharing.get_link(ada.caller, video_id) == before
    assert tab.sees(ShareDialogState).link.url == before.url


def test_admin_access_to_a_link_is_logged_with_the_client_address(
    server: Server, ada: Person, person: Callable[[str], Person]
) -> None:
    del ada  # the admin
    bob = person("bob")
    video_id = insert_video(bob.caller, Status.READY, s3_key="videos/a/b/1_a.mp4")
    owner = server.tab(bob.token, address="/gallery")
    owner.send(ShareDialogState, "open", video_id=video_id)
    admin = server.tab(accounts.login("ada@example.com", PASSWORD).token, address="/admin")
    admin.client_ip = "::ffff:203.0.113.7"
    admin.send(ShareDialogState, "open", video_id=video_id)
    assert admin.sees(ShareDialogState).link.url
    with reading() as session:
        found = session.exec(select(Event).where(Event.kind == "key_read")).all()
    assert [(event.client_ip, event.detail) for event in found] == [
        ("203.0.113.7", {"userId": bob.caller.user_id})
    ]
