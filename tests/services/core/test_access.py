"""The one door to a video: who may do what with it, for every kind of caller."""

from dataclasses import replace

import pytest

from tests.services.rows import put
from videovault import security
from videovault.db import transaction
from videovault.errors import Forbidden, VideoNotFound, WrongSecretKey
from videovault.models import Status, Video
from videovault.services.accounts import accounts
from videovault.services.core.access import Action, Caller, Visitor, open_video
from videovault.services.sharing import links
from videovault.services.videos import gallery

ACTIONS: tuple[Action, ...] = ("read", "change", "delete", "share", "watch")
OWNERS: set[Action] = {"read", "change", "delete", "share"}


@pytest.fixture
def stranger(bert: Caller) -> Caller:
    del bert
    return accounts.authenticate(accounts.register("carl@example.com", "correct horse").token)


@pytest.fixture
def video_id(bert: Caller) -> str:
    """A ready video of Bert's, who is no admin."""
    return put(bert, Status.READY)


def key_of(caller: Caller, video_id: str) -> str:
    with transaction() as session:
        return open_video(session, caller, video_id, "share").secret_key


def allowed(caller: Caller | Visitor, video_id: str) -> set[Action]:
    return {action for action in ACTIONS if _opens(caller, video_id, action)}


def _opens(caller: Caller | Visitor, video_id: str, action: Action) -> bool:
    refusal = WrongSecretKey if isinstance(caller, Visitor) else VideoNotFound
    try:
        with transaction() as session:
            open_video(session, caller, video_id, action)
    except refusal:
        return False
    return True


def test_owner_and_admin_do_everything_but_watch_by_a_link(anna: Caller, bert: Caller, video_id: str) -> None:
    assert allowed(bert, video_id) == OWNERS
    assert anna.is_admin
    assert allowed(anna, video_id) == OWNERS


def test_a_generator_changes_what_it_reports_on_and_sees_nothing(bert: Caller, video_id: str) -> None:
    assert allowed(Caller(bert.user_id, "", is_generator=True), video_id) == {"change"}


def test_who_may_only_read_learns_no_key(anna: Caller, bert: Caller, video_id: str) -> None:
    """It would open the video to everybody, after the token has ended too; an admin's would open everybody's."""
    for caller in (anna, bert):
        reader = replace(caller, session_id="", may_write=False)
        for look in (links.secret_key, links.link):
            with pytest.raises(Forbidden, match="only read"):
                look(reader, video_id)
        assert gallery.get(reader, video_id, links=False).title == "A title"


def test_a_stranger_does_nothing(stranger: Caller, video_id: str) -> None:
    assert allowed(stranger, video_id) == set()
    assert allowed(Caller(stranger.user_id, "", is_generator=True), video_id) == set()
    with transaction() as session, pytest.raises(Forbidden):
        open_video(session, stranger, video_id, "read", owner_id="somebody")


def test_whoever_has_the_key_watches_and_nothing_else(bert: Caller, video_id: str) -> None:
    key = key_of(bert, video_id)
    assert allowed(Visitor(key), video_id) == {"watch"}
    for wrong in ("", key[:-1], key + "x", key.swapcase(), "é", "\ud800"):
        assert allowed(Visitor(wrong), video_id) == set()
    assert allowed(Visitor(key), "video_1_absent") == set()


@pytest.mark.parametrize("status", [status for status in Status if status != Status.READY])
def test_what_is_not_ready_is_not_to_be_watched(bert: Caller, status: Status) -> None:
    video_id = put(bert, status)
    if status == Status.DELETING:
        assert allowed(bert, video_id) == set()
        return
    assert allowed(Visitor(key_of(bert, video_id)), video_id) == set()


def test_a_row_that_was_moved_to_another_owner_opens_for_nobody(
    anna: Caller, bert: Caller, stranger: Caller, video_id: str
) -> None:
    with transaction() as session:
        session.get_one(Video, video_id).owner_id = stranger.user_id
    for caller in (anna, bert, stranger):
        assert allowed(caller, video_id) == set()


def test_neither_a_visitor_nor_an_opened_video_tells_its_key_by_accident(bert: Caller, video_id: str) -> None:
    key = key_of(bert, video_id)
    with transaction() as session:
        opened = open_video(session, bert, video_id, "share")
        assert key not in repr(opened)
    assert key not in repr(Visitor(key))


@pytest.mark.parametrize("same", [True, False])
def test_keys_are_compared_whole(same: bool) -> None:
    key = security.new_secret_key()
    assert security.is_same_key(key if same else key[:-1], key) == same
