"""The session of a tab is looked up by its cookie at every event."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
import reflex as rx
from sqlalchemy.exc import InvalidRequestError

from tests.state.conftest import Person, Server
from videovault import models, security
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.models import Status, Video
from videovault.services.accounts import accounts
from videovault.services.core import lifecycle
from videovault.state import live_updates, session
from videovault.state.account import AccountState
from videovault.state.admin.activity import AdminActivityState, AdminStatisticsState
from videovault.state.admin.mismatches import AdminMismatchesState
from videovault.state.admin.system import AdminSystemState, AdminTestOrderState
from videovault.state.admin.users import AdminUsersState
from videovault.state.admin.videos import AdminVideosState
from videovault.state.admin.webhook_log import AdminAttachFileState, AdminWebhookLogState
from videovault.state.create import CreateState
from videovault.state.delete_dialog import DeleteDialogState
from videovault.state.gallery import GalleryState
from videovault.state.import_dialog import ImportDialogState
from videovault.state.live_updates import ProgressState, VideoNoticesState
from videovault.state.session import SessionState
from videovault.state.share_dialog import ShareDialogState
from videovault.state.sign_in import SignInState

PUBLIC = {
    "SessionState.show_fault",
    "SessionState.clear_messages",
    "SessionState.dismiss",
    "SessionState.go_home",
    "SignInState.enter",
    "SignInState.enter_sign_up",
    "SignInState.enter_recovery",
}
ARGUMENTS = {
    "form": {},
    "video_id": "video_1_abcdefghi",
    "video_ids": ["video_1_abcdefghi"],
    "title": "Mine",
    "errors": {"video_1_abcdefghi": "Mine"},
    "number": 1,
    "session_id": "s",
    "token_id": "t",
    "user_id": "u",
    "delivery_id": "1",
    "path": "movie.url",
    "part": "hook",
    "q": "",
    "person": "",
    "client_ip": "",
    "what": "delete",
    "column": "title",
    "status": "",
    "group": "",
    "kind": "own",
    "direction": "",
    "day": "",
    "zone": "UTC",
    "arrived": True,
}


def handlers() -> Iterator[tuple[type[rx.State], str]]:
    """Every method that browsers can call."""
    states = (
        SessionState,
        SignInState,
        CreateState,
        GalleryState,
        DeleteDialogState,
        ImportDialogState,
        ShareDialogState,
        AccountState,
        AdminVideosState,
        AdminAttachFileState,
        AdminUsersState,
        AdminActivityState,
        AdminSystemState,
        AdminStatisticsState,
        AdminWebhookLogState,
        AdminTestOrderState,
        AdminMismatchesState,
        VideoNoticesState,
        live_updates.ProgressState,
    )
    for state in states:
        yield from ((state, name) for name in state.event_handlers if name != "setvar")


GUARDED = [one for one in handlers() if f"{one[0].__name__}.{one[1]}" not in PUBLIC]


@pytest.mark.parametrize(("state", "name"), GUARDED, ids=[f"{s.__name__}.{n}" for s, n in GUARDED])
def test_handlers_require_a_session(server: Server, state: type[rx.State], name: str) -> None:
    tab = server.tab(cookie="made-up", address="/gallery?video=video_1")
    wanted = list(state.event_handlers[name].get_parameters())[1:]
    tab.send(state, name, **{parameter: ARGUMENTS[parameter] for parameter in wanted})
    assert tab.sent_to == "/login?next=%2Fgallery%3Fvideo%3Dvideo_1&done=ended"


def test_no_handler_takes_the_caller_from_the_browser() -> None:
    for state, name in handlers():
        assert "caller" not in state.event_handlers[name].get_parameters()


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


# A session falls idle although its page is open: only what a person does keeps it alive.

AWAY = timedelta(days=13)


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
