"""The loop that keeps a page's progress up to date."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.state.conftest import Person, Server, Tab
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.models import Status, Video
from videovault.services.accounts import accounts
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.videos import gallery
from videovault.state import session, view_models
from videovault.state.create import CreateState
from videovault.state.gallery import GalleryState
from videovault.state.live_updates import ProgressState, UserUpdates, update_feed
from videovault.state.session import SessionState


@pytest.fixture
def ada(person: Callable[[str], Person]) -> Person:
    return person("ada")


@pytest.fixture
def tab(server: Server, ada: Person) -> Tab:
    return server.tab(ada.token, address="/gallery")


@pytest.fixture
def generating(ada: Person) -> str:
    with transaction() as session_:
        video = lifecycle.new_video(
            ada.caller.user_id, Status.GENERATING, "Bread", hook="h", requested_at=utcnow()
        )
        session_.add(video)
        return video.id


def shown(tab: Tab, video_id: str) -> view_models.VideoProgress:
    return tab.sees(ProgressState).progress.get(video_id, view_models.VideoProgress())


def change(video_id: str, **values: Any) -> None:
    with transaction() as session_:
        video = session_.get(Video, video_id)
        assert video
        for name, value in values.items():
            setattr(video, name, value)


def finish(video_id: str, **values: Any) -> None:
    with transaction() as session_:
        video = session_.get(Video, video_id)
        assert video
        assert lifecycle.transition(session_, video, Status.QUEUED)
        assert lifecycle.transition(session_, video, Status.STORING)
        assert lifecycle.transition(session_, video, Status.READY, **values)


def test_progress_moves_while_the_video_is_stored(tab: Tab, generating: str) -> None:
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: shown(tab, generating).step == view_models.GENERATING)
    for done in (10_000_000, 20_000_000):
        change(generating, status=Status.STORING, bytes_done=done, bytes_total=40_000_000)
        expected = f"{done // 1_000_000}.0 MB of 40.0 MB"
        tab.wait_until(lambda: shown(tab, generating).amount_done == expected)  # noqa: B023 - within this turn


def test_result_reaches_gallery_and_modal(tab: Tab, generating: str) -> None:
    tab.send(GalleryState, "load")
    tab.send(CreateState, "open", video_id=generating)
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: generating in tab.sees(ProgressState).progress)
    finish(generating, size=3_700_000)
    tab.wait_until(lambda: tab.sees(ProgressState).progress == {})
    tab.wait_until(lambda: tab.sees(CreateState).stage == "ready")
    tab.wait_until(lambda: tab.sees(GalleryState).cards[0].status == "ready")


def test_loop_ends_with_the_session(tab: Tab, ada: Person, generating: str) -> None:
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: generating in tab.sees(ProgressState).progress)
    accounts.logout(ada.token)
    tab.wait_until(lambda: tab.sent_to == "/login?next=%2Fgallery&done=ended")


def test_second_loop_in_a_tab_ends_the_first(tab: Tab, generating: str) -> None:
    for _ in range(3):
        tab.start(ProgressState, "watch")
    tab.send(SessionState, "clear_messages")  # once it is done, all three have begun
    tab.wait_until(lambda: generating in tab.sees(ProgressState).progress)
    name = f"{ProgressState.get_full_name()}.watch"

    def loops() -> int:
        return sum(name in task.get_name() for task in list(tab.server.processor._tasks.values()))

    tab.wait_until(lambda: loops() == 1)


def test_change_in_another_tab_updates_the_card(tab: Tab, ada: Person, generating: str) -> None:
    tab.send(GalleryState, "load")
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: generating in tab.sees(ProgressState).progress)
    gallery.rename(ada.caller, generating, "Rolls")
    tab.wait_until(lambda: tab.sees(GalleryState).cards[0].title == "Rolls")


def test_all_tabs_of_a_user_share_one_query(ada: Person, generating: str) -> None:
    async def looks() -> list[UserUpdates]:
        return await asyncio.gather(*(pulse_of(ada.caller) for _ in range(20)))

    found = asyncio.run(looks())
    assert all(pulse is found[0] for pulse in found)
    assert generating in found[0].progress


def test_users_do_not_share_updates(person: Callable[[str], Person], ada: Person, generating: str) -> None:
    bob = person("bob")

    async def looks() -> tuple[UserUpdates, UserUpdates]:
        return await asyncio.gather(pulse_of(ada.caller), pulse_of(bob.caller))

    adas, bobs = asyncio.run(looks())
    assert generating in adas.progress
    assert bobs == UserUpdates()


async def pulse_of(caller: Caller) -> UserUpdates:
    return await update_feed.next_value(caller.user_id, None, session.SESSION_SECONDS)
