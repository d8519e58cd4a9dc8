"""The sign-in pages: the results of their native forms."""

from collections.abc import Callable

import pytest

from tests.state.conftest import Person, Server
from tests.support.installation import Configure
from videovault.state.session import SessionState
from videovault.state.sign_in import SignInState


def test_wrong_login_keeps_email_and_next_page(server: Server) -> None:
    tab = server.tab(address="/login?error=wrong&email=ada%40example.com&next=%2Fgallery")
    tab.send(SignInState, "enter")
    shown = tab.sees(SignInState)
    assert shown.problem == "The e-mail address or the password is wrong."
    assert (shown.typed_email, shown.next) == ("ada@example.com", "/gallery")


@pytest.mark.parametrize(
    ("code", "field"),
    [("email", "email"), ("taken", "email"), ("password", "password"), ("controls", "password")],
)
def test_field_error_is_shown_beside_its_field(server: Server, code: str, field: str) -> None:
    tab = server.tab(address=f"/register?error={code}")
    tab.send(SignInState, "enter")
    assert list(tab.sees(SessionState).errors) == [field]
    assert tab.sees(SignInState).problem == ""


def test_all_field_errors_are_shown_at_once(server: Server) -> None:
    tab = server.tab(address="/register?error=email,password")
    tab.send(SignInState, "enter")
    assert list(tab.sees(SessionState).errors) == ["email", "password"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("closed", "not open"),
        ("uninvited", "invitation link"),
        ("slow", "Too many attempts"),
        ("failed", "check"),
    ],
)
def test_other_problems_stand_above_the_form(server: Server, code: str, says: str) -> None:
    tab = server.tab(address=f"/register?error={code}")
    tab.send(SignInState, "enter")
    assert says in tab.sees(SignInState).problem
    assert tab.sees(SessionState).errors == {}


def test_sign_up_page_shows_who_may_create_an_account(
    server: Server, person: Callable[[str], Person], configure: Configure
) -> None:
    configure(SIGNUP="")
    tab = server.tab(address="/register")
    tab.send(SignInState, "enter_sign_up")
    assert tab.sees(SignInState).signup == "first"
    person("ada")
    tab.send(SignInState, "enter_sign_up")
    assert tab.sees(SignInState).signup == "invite"
    invited = server.tab(address="/register?invitation=token")
    invited.send(SignInState, "enter_sign_up")
    shown = invited.sees(SignInState)
    assert (shown.signup, shown.invitation) == ("invite", "token")
    configure(SIGNUP="closed")
    tab.send(SignInState, "enter_sign_up")
    assert tab.sees(SignInState).signup == "closed"


@pytest.mark.parametrize(
    ("wait", "says"), [("240", "in 4 minutes."), ("900", "in 15 minutes."), ("soon", "in 1 minute.")]
)
def test_rate_limit_shows_the_wait(server: Server, wait: str, says: str) -> None:
    tab = server.tab(address=f"/login?error=slow&wait={wait}")
    tab.send(SignInState, "enter")
    assert says in tab.sees(SignInState).problem


def test_text_from_the_address_is_never_shown(server: Server) -> None:
    tab = server.tab(address="/login?error=Call%20555%20now")
    tab.send(SignInState, "enter")
    assert "555" not in tab.sees(SignInState).problem


def test_next_visit_starts_clean(server: Server) -> None:
    tab = server.tab(address="/login?error=wrong&email=ada%40example.com")
    tab.send(SignInState, "enter")
    tab.address = "/login"
    tab.send(SignInState, "enter")
    assert (tab.sees(SignInState).problem, tab.sees(SignInState).typed_email) == ("", "")


def test_signed_in_users_are_redirected_to_the_next_page(
    server: Server, person: Callable[[str], Person]
) -> None:
    tab = server.tab(person("ada").token, address="/login?next=%2Fgallery")
    tab.send(SignInState, "enter")
    assert tab.sent_to == "/gallery"


def test_link_between_the_pages_keeps_the_next_page(server: Server) -> None:
    tab = server.tab(address="/login?next=%2Fgallery%3Fvideo%3Da%26b")
    tab.send(SignInState, "enter")
    assert tab.sees(SignInState).next == "/gallery?video=a&b"
    assert tab.sees(SignInState).next_quoted == "/gallery%3Fvideo%3Da%26b"
