"""The sign-in pages: what the native forms came back with."""

from collections.abc import Callable

import pytest

from tests.state.conftest import Person, Server
from tests.support.installation import Configure
from videovault.state.session import SessionState
from videovault.state.sign_in import SignInState, local_path


def test_wrong_login_keeps_the_address_and_the_way(server: Server) -> None:
    tab = server.tab(address="/login?error=wrong&email=ada%40example.com&next=%2Fgallery")
    tab.send(SignInState, "enter")
    shown = tab.sees(SignInState)
    assert shown.problem == "The e-mail address or the password is wrong."
    assert (shown.typed_email, shown.next) == ("ada@example.com", "/gallery")


@pytest.mark.parametrize(
    ("code", "field"),
    [("email", "email"), ("taken", "email"), ("password", "password"), ("controls", "password")],
)
def test_what_is_wrong_with_a_field_stands_beside_it(server: Server, code: str, field: str) -> None:
    tab = server.tab(address=f"/register?error={code}")
    tab.send(SignInState, "enter")
    assert list(tab.sees(SessionState).errors) == [field]
    assert tab.sees(SignInState).problem == ""


def test_all_that_is_wrong_is_told_at_once(server: Server) -> None:
    tab = server.tab(address="/register?error=email,password")
    tab.send(SignInState, "enter")
    assert list(tab.sees(SessionState).errors) == ["email", "password"]


@pytest.mark.parametrize(
    ("code", "says"),
    [("closed", "not open"), ("uninvited", "invitation link"), ("slow", "too often"), ("failed", "check")],
)
def test_other_problems_stand_above_the_form(server: Server, code: str, says: str) -> None:
    tab = server.tab(address=f"/register?error={code}")
    tab.send(SignInState, "enter")
    assert says in tab.sees(SignInState).problem
    assert tab.sees(SessionState).errors == {}


def test_the_page_of_new_accounts_knows_who_may_make_one(
    server: Server, person: Callable[[str], Person], configure: Configure
) -> None:
    configure(SIGNUP="")
    tab = server.tab(address="/register")
    tab.send(SignInState, "join")
    assert tab.sees(SignInState).signup == "first"
    person("ada")
    tab.send(SignInState, "join")
    assert tab.sees(SignInState).signup == "invite"
    invited = server.tab(address="/register?invitation=token")
    invited.send(SignInState, "join")
    shown = invited.sees(SignInState)
    assert (shown.signup, shown.invitation) == ("invite", "token")
    configure(SIGNUP="closed")
    tab.send(SignInState, "join")
    assert tab.sees(SignInState).signup == "closed"


@pytest.mark.parametrize(
    ("wait", "says"), [("240", "in 4 minutes."), ("900", "in 15 minutes."), ("soon", "in 1 minute.")]
)
def test_who_tried_too_often_reads_how_long_to_wait(server: Server, wait: str, says: str) -> None:
    tab = server.tab(address=f"/login?error=slow&wait={wait}")
    tab.send(SignInState, "enter")
    assert says in tab.sees(SignInState).problem


def test_text_from_the_address_is_never_shown_as_ours(server: Server) -> None:
    tab = server.tab(address="/login?error=Call%20555%20now")
    tab.send(SignInState, "enter")
    assert "555" not in tab.sees(SignInState).problem


def test_next_visit_starts_clean(server: Server) -> None:
    tab = server.tab(address="/login?error=wrong&email=ada%40example.com")
    tab.send(SignInState, "enter")
    tab.address = "/login"
    tab.send(SignInState, "enter")
    assert (tab.sees(SignInState).problem, tab.sees(SignInState).typed_email) == ("", "")


def test_who_is_signed_in_goes_where_they_were_going(server: Server, person: Callable[[str], Person]) -> None:
    tab = server.tab(person("ada").token, address="/login?next=%2Fgallery")
    tab.send(SignInState, "enter")
    assert tab.sent_to == "/gallery"


def test_link_to_the_other_page_brings_along_where_the_person_was_going(server: Server) -> None:
    tab = server.tab(address="/login?next=%2Fgallery%3Fvideo%3Da%26b")
    tab.send(SignInState, "enter")
    assert tab.sees(SignInState).next == "/gallery?video=a&b"
    assert tab.sees(SignInState).next_quoted == "/gallery%3Fvideo%3Da%26b"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\nb",
        "gallery",
    ],
)
def test_nobody_is_led_to_another_site(path: str) -> None:
    assert local_path(path) == "/create"


@pytest.mark.parametrize("path", ["/gallery", "/create?video=video_1", "/gallery/"])
def test_paths_of_ours_are_kept(path: str) -> None:
    assert local_path(path) == path
