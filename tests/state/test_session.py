"""The session of a tab is looked up by its cookie at every event, and no other session gets its results."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy.exc import InvalidRequestError

from tests.state.conftest import PASSWORD, Person, Server, Tab
from tests.state.event_handlers import handlers, payloads
from tests.support.generator import Generator
from videovault import models, security
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.models import Status, Video
from videovault.services.accounts import accounts
from videovault.services.core import lifecycle
from videovault.state import session
from videovault.state.admin.videos import AdminVideosState
from videovault.state.create import CreateState
from videovault.state.gallery import GalleryState
from videovault.state.live_updates import ProgressState
from videovault.state.session import SessionState, login_path

AWAY = timedelta(days=13)
BRIEF = {"topic": "Adas secret plans", "avatar": "Sofia"}


@pytest.fixture
def ada(person: Callable[[str], Person]) -> Person:
    return person("ada")


@pytest.fixture
def tab(server: Server, ada: Person) -> Tab:
    return server.tab(ada.token)


@pytest.fixture
def asking(tab: Tab, generator: Generator) -> Generator:
    """The script webhook, called and not answering yet."""
    generator.script_mode = "hang"
    tab.start(CreateState, "write_script", form=BRIEF)
    tab.wait_until(lambda: bool(generator.requests))
    return generator


def test_handlers_require_a_session(server: Server) -> None:
    every_handler = list(
        handlers()
    )  # imports their states, which a tab has only if they exist before it does
    tab = server.tab(cookie="made-up", address="/gallery?video=video_1")
    for handler in every_handler:
        if handler.is_guarded:
            server.received.events.clear()
            tab.send(handler.state, handler.name, **payloads(handler, ["video_1"])[0])
            assert tab.sent_to == "/login?next=%2Fgallery%3Fvideo%3Dvideo_1&done=ended", handler.label


def test_no_handler_takes_the_caller_from_the_browser() -> None:
    assert not [handler.label for handler in handlers() if "caller" in handler.parameters]


def test_caller_in_a_payload_is_refused(server: Server, person: Callable[[str], Person]) -> None:
    admin, bob = person("admin"), person("bob")
    tab = server.tab(bob.token)
    with pytest.raises(TypeError, match="caller"):
        tab.send(AdminVideosState, "load", caller={"user_id": admin.caller.user_id, "is_admin": True})
    assert tab.sees(AdminVideosState).access == ""


def test_page_shows_who_is_signed_in(server: Server, person: Callable[[str], Person]) -> None:
    ada = person("ada")
    tab = server.tab(ada.token)
    tab.send(SessionState, "clear_messages")
    shown = tab.sees(SessionState)
    assert (shown.is_signed_in, shown.email, shown.is_admin) == (True, "ada@example.com", True)


def test_tab_is_wiped_before_another_user_gets_anything(
    server: Server, person: Callable[[str], Person]
) -> None:
    ada, bob = person("ada"), person("bob")
    tab = server.tab(ada.token)
    tab.send(CreateState, "restore_brief", form={"topic": "Adas secret plans"})
    assert "Adas secret plans" in tab.received
    server.received.deltas.clear()

    tab.cookie = bob.token
    tab.send(SessionState, "clear_messages")
    assert tab.sees(CreateState).brief["topic"] == ""
    assert "Adas secret plans" not in tab.received
    assert "ada@" not in tab.received


def test_tab_without_a_cookie_gets_nothing_of_its_earlier_state(
    server: Server, person: Callable[[str], Person]
) -> None:
    tab = server.tab(person("ada").token)
    tab.send(SessionState, "clear_messages")
    server.received.deltas.clear()
    tab.cookie = ""
    tab.send(SessionState, "clear_messages")
    assert not tab.sees(SessionState).is_signed_in
    assert "ada@example.com" not in tab.received


def test_session_that_ended_is_refused_within_two_seconds(
    server: Server, person: Callable[[str], Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session._callers, "_seconds", 0.0)
    ada = person("ada")
    tab = server.tab(ada.token, address="/gallery")
    tab.send(GalleryState, "load")
    assert tab.sent_to == ""
    accounts.logout(ada.token)
    tab.send(GalleryState, "load")
    assert tab.sent_to == "/login?next=%2Fgallery&done=ended"


def test_no_ended_session_is_mentioned_without_a_cookie(server: Server) -> None:
    tab = server.tab(address="/gallery")
    tab.send(GalleryState, "load")
    assert tab.sent_to == "/login?next=%2Fgallery"


def test_welcome_page_redirects_signed_in_users(server: Server, person: Callable[[str], Person]) -> None:
    stranger, ada = server.tab(address="/"), server.tab(person("ada").token, address="/")
    stranger.send(SessionState, "go_home")
    ada.send(SessionState, "go_home")
    assert (stranger.sent_to, ada.sent_to) == ("", "/create")


def test_other_cookies_do_not_hide_ours(server: Server, person: Callable[[str], Person]) -> None:
    tab = server.tab(person("ada").token)
    tab.cookie = f'{tab.cookie}; odd[name]={{"a": 1}}; =; theme=dark'
    tab.send(SessionState, "clear_messages")
    assert tab.sees(SessionState).is_signed_in


def test_unexpected_error_shows_no_details(server: Server, person: Callable[[str], Person]) -> None:
    tab = server.tab(person("ada").token)
    with pytest.raises(InvalidRequestError):
        tab.send(CreateState, "open", video_id={"not": "a string"})
    tab.wait_until(lambda: tab.sees(SessionState).notice == session.FAULT)
    assert "primary key" not in tab.received


def test_new_page_clears_old_notices(server: Server, person: Callable[[str], Person]) -> None:
    tab = server.tab(person("ada").token)
    tab.send(CreateState, "open", video_id="video_1_abcdefghi")
    assert tab.sees(SessionState).notice == "There is no such video."
    tab.send(SessionState, "clear_messages")
    assert tab.sees(SessionState).notice == ""


def seen(token: str) -> datetime:
    with reading() as database:
        return database.get_one(models.Session, security.token_hash(token)).last_seen_at


def test_open_pages_and_live_updates_do_not_count_as_activity(
    server: Server, person: Callable[[str], Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    for shared in (session._callers, session._last_seen):
        monkeypatch.setattr(shared, "_seconds", 0.0)
    ada = person("ada")
    with transaction() as database:
        video = lifecycle.new_video(ada.caller.user_id, Status.GENERATING, "Bread", requested_at=utcnow())
        database.add(video)
    tab = server.tab(ada.token, address="/gallery")
    tab.send(GalleryState, "load")
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: video.id in tab.sees(ProgressState).progress)

    with transaction() as database:
        row = database.get_one(models.Session, security.token_hash(ada.token))
        row.last_seen_at -= AWAY
        assert lifecycle.transition(database, database.get_one(Video, video.id), Status.FAILED)
    tab.wait_until(lambda: tab.sees(GalleryState).cards[0].status == "failed")
    assert utcnow() - seen(ada.token) > AWAY

    tab.send(SessionState, "clear_messages")
    assert utcnow() - seen(ada.token) < timedelta(minutes=1)


def hand_over(tab: Tab, cookie: str) -> None:
    tab.cookie = cookie
    tab.send(SessionState, "clear_messages")
    tab.server.received.deltas.clear()
    tab.server.received.events.clear()


def ended(tab: Tab) -> None:
    tab.wait_until(lambda: not tab.server.processor._tasks)


def test_script_opens_in_the_session_that_requested_it(tab: Tab, asking: Generator) -> None:
    asking.over.set()
    ended(tab)
    assert tab.sees(CreateState).stage == "script"


@pytest.mark.parametrize("answer", ["direct", "nonsense"])
@pytest.mark.parametrize("next_one", ["bob", "ada", "anonymous"])
def test_neither_script_nor_error_reaches_another_session(
    tab: Tab, person: Callable[[str], Person], asking: Generator, next_one: str, answer: str
) -> None:
    cookies: dict[str, Callable[[], str]] = {
        "bob": lambda: person("bob").token,
        "ada": lambda: accounts.login("ada@example.com", PASSWORD).token,
        "anonymous": str,
    }
    hand_over(tab, cookies[next_one]())
    asking.script_mode = answer  # type: ignore[assignment] # one of its modes
    asking.over.set()
    ended(tab)
    assert (tab.sees(CreateState).stage, tab.sees(CreateState).video.title) == ("", "")
    assert (tab.received, tab.sent_to) == ("[]", "")


def test_loop_stays_with_its_session(tab: Tab, ada: Person, person: Callable[[str], Person]) -> None:
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: ProgressState.get_full_name() in tab.received)
    hand_over(tab, person("bob").token)
    accounts.logout(ada.token)
    ended(tab)
    assert tab.sent_to == ""


def test_the_login_page_leads_back_also_when_asked_for_while_the_browser_goes_there() -> None:
    assert (
        login_path("/create/", "next=%2Fgallery%2F%3Fq%3Dbread&done=ended")
        == "/login?next=%2Fgallery%2F%3Fq%3Dbread"
    )
    assert login_path("/create/", "next=%2F%2Fevil.example") == "/login?next=%2Fcreate%2F"
    assert login_path("/gallery/", "q=bread") == "/login?next=%2Fgallery%2F%3Fq%3Dbread"
