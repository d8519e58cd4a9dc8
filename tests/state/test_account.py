"""The account page: devices, tokens shown once, and the end of open pages when a session ends."""

from collections.abc import Callable

import pytest
from reflex_base.utils.format import json_dumps

from tests.state.conftest import PASSWORD, Person, Server, Tab
from videovault import security
from videovault.services.accounts import accounts
from videovault.services.admin import users
from videovault.state.account import AccountState, device_name
from videovault.state.gallery import GalleryState
from videovault.state.live_updates import ProgressState
from videovault.state.session import SESSION_SECONDS, SessionState

MakePerson = Callable[[str], Person]
FORM = {"tokenName": "Nightly", "scope": "write", "days": "30"}


@pytest.fixture
def tab(server: Server, person: MakePerson) -> Tab:
    opened = server.tab(person("ada").token, address="/account")
    opened.send(AccountState, "load")
    return opened


def test_page_shows_what_there_is(tab: Tab) -> None:
    shown = tab.sees(AccountState)
    assert (shown.storage, shown.videos_and_storage) == ("0 bytes of 53.7 GB used", "0 videos, 0 bytes")
    assert [one.is_current for one in shown.devices] == [True]


def test_token_is_shown_once_and_never_again(tab: Tab) -> None:
    tab.send(AccountState, "create_token", form=FORM)
    fresh = tab.sees(AccountState).fresh_token
    assert fresh.startswith("vv_")
    [listed] = tab.sees(AccountState).tokens
    assert (listed.name, listed.scope, listed.used_at) == ("Nightly", "Read and write.", "")
    assert fresh not in str(listed)
    tab.send(AccountState, "load")
    assert tab.sees(AccountState).fresh_token == ""
    tab.send(AccountState, "revoke", token_id=listed.token_id)
    assert tab.sees(AccountState).tokens == []


def test_a_second_click_makes_no_second_token(tab: Tab) -> None:
    tab.send(AccountState, "create_token", form=FORM)
    fresh = tab.sees(AccountState).fresh_token
    tab.send(AccountState, "create_token", form=FORM)
    assert (tab.sees(AccountState).fresh_token, len(tab.sees(AccountState).tokens)) == (fresh, 1)
    tab.send(AccountState, "hide_token")
    tab.send(AccountState, "create_token", form=FORM)
    assert len(tab.sees(AccountState).tokens) == 2


def test_revoking_moves_the_focus_and_shows_a_notice(tab: Tab) -> None:
    tab.send(AccountState, "create_token", form=FORM)
    tab.send(AccountState, "revoke", token_id=tab.sees(AccountState).tokens[0].token_id)
    assert "revoked" in tab.sees(SessionState).notice
    focused = [event for event in tab.server.received.events[tab.token] if event.name == "_set_focus"]
    assert "tokens" in str(focused[-1].payload)


def test_unknown_form_values_become_the_narrowest(tab: Tab) -> None:
    tab.send(AccountState, "create_token", form={"tokenName": "Odd", "scope": "all", "days": "1e9"})
    [listed] = tab.sees(AccountState).tokens
    assert listed.scope == "Read only."
    assert listed.expires_at


def test_name_is_kept(tab: Tab) -> None:
    tab.send(AccountState, "rename", form={"name": "Ada L."})
    tab.send(AccountState, "load")
    assert tab.sees(AccountState).name == "Ada L."


def test_error_stands_beside_the_field_of_the_page(tab: Tab) -> None:
    tab.send(AccountState, "create_token", form={**FORM, "tokenName": " "})
    assert list(tab.sees(SessionState).errors) == ["tokenName"]
    tab.send(AccountState, "rename", form={"name": "x" * 101})
    assert list(tab.sees(SessionState).errors) == ["name"]


def test_other_devices_are_signed_out_one_by_one(tab: Tab) -> None:
    accounts.login("ada@example.com", PASSWORD)
    tab.send(AccountState, "load")
    other = next(one for one in tab.sees(AccountState).devices if not one.is_current)
    tab.send(AccountState, "sign_out", session_id=other.session_id)
    assert [one.is_current for one in tab.sees(AccountState).devices] == [True]


def test_current_device_comes_first_and_many_others_are_folded(tab: Tab) -> None:
    for _ in range(7):
        accounts.login("ada@example.com", PASSWORD)
    tab.send(AccountState, "load")
    shown = tab.sees(AccountState)
    assert [one.is_current for one in shown.devices] == [True, False, False, False, False]
    assert len(shown.more_devices) == 3


def test_neither_hash_nor_session_token_reaches_the_page(tab: Tab) -> None:
    sent = json_dumps(tab.server.received.deltas[tab.token])  # as Reflex itself writes it for the browser
    assert "ada@example.com" in sent
    assert tab.cookie not in sent
    assert security.token_hash(tab.cookie) not in sent


@pytest.mark.parametrize(
    ("code", "field"),
    [
        ("wrong", "currentPassword"),
        ("common", "newPassword"),
        ("controls", "newPassword"),
        ("slow", "currentPassword"),
        ("closing-wrong", "password"),
        ("closing-slow", "password"),
    ],
)
def test_error_of_a_native_form_is_shown_beside_its_field(
    server: Server, person: MakePerson, code: str, field: str
) -> None:
    tab = server.tab(person("ada").token, address=f"/account?error={code}")
    tab.send(AccountState, "load")
    assert list(tab.sees(SessionState).errors) == [field]
    [focus] = [event for event in server.received.events[tab.token] if event.name == "_set_focus"]
    assert field in str(focus.payload)


@pytest.mark.parametrize("way", ["password", "deactivation"])
def test_open_pages_end_within_five_seconds(server: Server, person: MakePerson, way: str) -> None:
    """By themselves and at their next click. A loop may sleep as long as an answer may be old, so both add up."""
    assert 2 * SESSION_SECONDS < 5
    admin, ada = person("admin"), person("ada")
    watching, clicking = server.tab(ada.token, "/gallery"), server.tab(ada.token, "/gallery")
    watching.start(ProgressState, "watch")
    clicking.send(GalleryState, "load")
    watching.wait_until(lambda: ProgressState.get_full_name() in watching.received)
    if way == "password":
        accounts.change_password(ada.caller, PASSWORD, "battery staple")
    else:
        users.change_user(admin.caller, ada.caller.user_id, {"is_active": False})
    watching.wait_until(lambda: watching.sent_to.startswith("/login"))
    clicking.send(GalleryState, "load")
    assert clicking.sent_to.startswith("/login")


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("python-httpx/0.28", "python-httpx"),
        ("", "Unknown device"),
    ],
)
def test_devices_have_readable_names(user_agent: str, name: str) -> None:
    assert device_name(user_agent) == name
