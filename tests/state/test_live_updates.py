"""Live updates: one query for all users, the progress loop of a page, and notices of ready and failed videos."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from tests.state.conftest import Person, Server, Tab
from tests.support.waiting import HANG_SECONDS
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.models import Event, Status, Video
from videovault.services.accounts import accounts
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.videos import gallery
from videovault.state import live_updates
from videovault.state.create import CreateState
from videovault.state.gallery import GalleryState
from videovault.state.live_updates import (
    IDLE_SECONDS,
    MAX_SHOWN_NOTICES,
    OPENING,
    PROGRESS_VAR,
    ChangeFeed,
    ProgressState,
    UserUpdates,
    VideoNoticesState,
    notices_for,
    update_feed,
)
from videovault.state.session import SESSION_SECONDS, SessionState
from videovault.state.view_models import GENERATING, VideoProgress

LONG = HANG_SECONDS
Storing = Callable[..., Video]
FAILURE: dict[str, Any] = {"error_code": "SOURCE_FAILED", "error_message": "Gone."}


class Source:
    """The values, and the queries for them."""

    def __init__(self, **values: int) -> None:
        self.values = dict(values)
        self.queries: list[set[str]] = []
        self.fails = 0

    async def query(self, users: Collection[str]) -> Mapping[str, int]:
        await asyncio.sleep(0)
        self.queries.append(set(users))
        if len(self.queries) <= self.fails:
            raise OperationalError("select", {}, RuntimeError("the disk is gone"))
        return {user: value for user, value in self.values.items() if user in users}


def feed_of(source: Source, pause: float = 0.01) -> ChangeFeed[int]:
    return ChangeFeed(source.query, lambda _found: pause, 0)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LONG):
            await scenario

    asyncio.run(limited())


def test_subscribers_share_a_query() -> None:
    source = Source(ada=1, bob=2)

    async def scenario() -> None:
        feed = feed_of(source)
        users = ["ada", "bob"] * 50
        assert await asyncio.gather(*(feed.next_value(user, None, LONG) for user in users)) == [1, 2] * 50

    run(scenario())
    assert len(source.queries) == 1
    assert source.queries[0] == {"ada", "bob"}


def test_only_changed_values_wake_their_subscribers() -> None:
    source = Source(ada=1, bob=2)

    async def scenario() -> None:
        feed = feed_of(source)
        bob = asyncio.ensure_future(feed.next_value("bob", 2, LONG))
        ada = asyncio.ensure_future(feed.next_value("ada", 1, LONG))
        assert await ada == 1  # the first query wakes all
        assert await bob == 2
        bob = asyncio.ensure_future(feed.next_value("bob", 2, LONG))
        ada = asyncio.ensure_future(feed.next_value("ada", 1, LONG))
        await asyncio.sleep(0)
        source.values["ada"] = 5
        assert await ada == 5
        assert not bob.done()
        bob.cancel()

    run(scenario())


def test_outdated_subscriber_gets_the_value_at_once() -> None:
    source = Source(ada=1)

    async def scenario() -> None:
        feed = feed_of(source, pause=LONG)
        assert await feed.next_value("ada", None, LONG) == 1
        assert await feed.next_value("ada", 7, LONG) == 1

    run(scenario())
    assert len(source.queries) == 1


def test_timeout_returns_the_known_value() -> None:
    async def scenario() -> None:
        feed = feed_of(Source())
        assert await feed.next_value("ada", 0, 0.05) == 0

    run(scenario())


def test_new_subscriber_does_not_wait_for_the_next_query() -> None:
    source = Source(ada=1, bob=2)

    async def scenario() -> None:
        feed = feed_of(source, pause=LONG)
        ada = asyncio.ensure_future(feed.next_value("ada", None, LONG))
        assert await ada == 1
        staying = asyncio.ensure_future(feed.next_value("ada", 1, LONG))
        assert await feed.next_value("bob", None, LONG) == 2
        staying.cancel()

    run(scenario())


def test_something_new_cuts_the_pause_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_updates, "LOOK_SECONDS", 0.01)

    async def scenario() -> None:
        source = Source(ada=1)

        async def newest() -> int:
            return source.values["ada"]

        feed = ChangeFeed(source.query, lambda _found: LONG, 0, newest)
        assert await feed.next_value("ada", None, LONG) == 1
        source.values["ada"] = 2
        assert await feed.next_value("ada", 1, LONG) == 2
        assert len(source.queries) == 2

    run(scenario())


def test_polling_stops_without_subscribers() -> None:
    source = Source(ada=1)

    async def scenario() -> None:
        feed = feed_of(source)
        assert await feed.next_value("ada", None, LONG) == 1
        assert feed._polling
        await feed._polling
        source.values["ada"] = 2
        assert await feed.next_value("ada", None, LONG) == 2

    run(scenario())
    assert len(source.queries) == 2


def test_polling_continues_after_a_database_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_updates, "RETRY_SECONDS", 0.01)
    source = Source(ada=1)
    source.fails = 2

    async def scenario() -> None:
        assert await feed_of(source).next_value("ada", None, LONG) == 1

    run(scenario())


@pytest.fixture
def ada(person: Callable[[str], Person]) -> Person:
    return person("ada")


@pytest.fixture
def tab(server: Server, ada: Person) -> Tab:
    return server.tab(ada.token, address="/gallery")


@pytest.fixture
def generating(ada: Person) -> str:
    with transaction() as session:
        video = lifecycle.new_video(
            ada.caller.user_id, Status.GENERATING, "Bread", hook="h", requested_at=utcnow()
        )
        session.add(video)
        return video.id


def progress(tab: Tab) -> dict[str, VideoProgress]:
    """What the page was sent last."""
    sent = [
        delta.get(ProgressState.get_full_name(), {})
        for delta in tab.server.received.deltas.get(tab.token, [])
    ]
    return next((state[PROGRESS_VAR] for state in reversed(sent) if PROGRESS_VAR in state), {})


def shown(tab: Tab, video_id: str) -> VideoProgress:
    return progress(tab).get(video_id, VideoProgress())


def change(video_id: str, **values: Any) -> None:
    with transaction() as session:
        video = session.get(Video, video_id)
        assert video
        for name, value in values.items():
            setattr(video, name, value)
        video.updated_at = utcnow()


def finish(video_id: str, **values: Any) -> None:
    with transaction() as session:
        video = session.get(Video, video_id)
        assert video
        assert lifecycle.transition(session, video, Status.QUEUED)
        assert lifecycle.transition(session, video, Status.STORING)
        assert lifecycle.transition(session, video, Status.READY, **values)


def test_progress_moves_while_the_video_is_stored(tab: Tab, generating: str) -> None:
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: shown(tab, generating).step == GENERATING)
    for done in (10_000_000, 20_000_000):
        change(generating, status=Status.STORING, bytes_done=done, bytes_total=40_000_000)
        expected = f"{done // 1_000_000}.0 MB of 40.0 MB"
        tab.wait_until(lambda: shown(tab, generating).amount_done == expected)  # noqa: B023 - within this turn


def test_result_reaches_gallery_and_modal(tab: Tab, generating: str) -> None:
    tab.send(GalleryState, "load")
    tab.send(CreateState, "open", video_id=generating)
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: generating in progress(tab))
    finish(generating, size=3_700_000)
    tab.wait_until(lambda: progress(tab) == {})
    tab.wait_until(lambda: tab.sees(CreateState).stage == "ready")
    tab.wait_until(lambda: tab.sees(GalleryState).cards[0].status == "ready")


def test_loop_ends_with_the_session(tab: Tab, ada: Person, generating: str) -> None:
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: generating in progress(tab))
    accounts.logout(ada.token)
    tab.wait_until(lambda: tab.sent_to == "/login?next=%2Fgallery&done=ended")


def test_second_loop_in_a_tab_ends_the_first(tab: Tab, generating: str) -> None:
    for _ in range(3):
        tab.start(ProgressState, "watch")
    tab.send(SessionState, "clear_messages")  # once it is done, all three have begun
    tab.wait_until(lambda: generating in progress(tab))
    name = f"{ProgressState.get_full_name()}.watch"

    def loops() -> int:
        return sum(name in task.get_name() for task in list(tab.server.processor._tasks.values()))

    tab.wait_until(lambda: loops() == 1)


def test_change_in_another_tab_updates_the_card(tab: Tab, ada: Person, generating: str) -> None:
    tab.send(GalleryState, "load")
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: generating in progress(tab))
    gallery.rename(ada.caller, generating, "Rolls")
    tab.wait_until(lambda: tab.sees(GalleryState).cards[0].title == "Rolls")


def test_all_tabs_of_a_user_share_one_query(ada: Person, generating: str) -> None:
    async def query() -> list[UserUpdates]:
        return await asyncio.gather(*(updates_of(ada.caller) for _ in range(20)))

    found = asyncio.run(query())
    assert all(updates is found[0] for updates in found)
    assert generating in found[0].progress


def test_users_do_not_share_updates(person: Callable[[str], Person], ada: Person, generating: str) -> None:
    bob = person("bob")

    async def query() -> tuple[UserUpdates, UserUpdates]:
        return await asyncio.gather(updates_of(ada.caller), updates_of(bob.caller))

    adas, bobs = asyncio.run(query())
    assert generating in adas.progress
    assert bobs == UserUpdates()


async def updates_of(caller: Caller) -> UserUpdates:
    return await update_feed.next_value(caller.user_id, None, SESSION_SECONDS)


@pytest.fixture
def watching_tab(tab: Tab) -> Tab:
    """An open page with live updates."""
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: tab.sees(VideoNoticesState)._seen is not None)
    return tab


@pytest.fixture
def storing(ada: Person) -> Storing:
    """Creates videos that are being stored, Ada's by default."""

    def make(title: str = "Bread", owner: Person = ada) -> Video:
        with transaction() as session:
            video = lifecycle.new_video(owner.caller.user_id, Status.STORING, title)
            session.add(video)
        return video

    return make


def end(*videos: Video, to: Status = Status.READY, **values: Any) -> None:
    """All in one transaction."""
    with transaction() as session:
        for video in videos:
            assert lifecycle.transition(session, video, to, **values)


def happened(video: Video, ago: timedelta) -> None:
    with transaction() as session:
        session.exec(select(Event).where(Event.video_id == video.id)).one().at = utcnow() - ago


def texts(tab: Tab) -> list[str]:
    return [notice.text for notice in tab.sees(SessionState).video_notices]


def test_ready_video_is_announced_with_a_link(watching_tab: Tab, storing: Storing) -> None:
    video = storing()
    end(video)
    watching_tab.wait_until(lambda: texts(watching_tab) == ["“Bread” is ready."])
    [notice] = watching_tab.sees(SessionState).video_notices
    assert (notice.link, notice.link_name, notice.is_bad) == (
        f"/gallery?video={video.id}",
        "Show “Bread”",
        False,
    )


def test_notices_appear_within_two_seconds() -> None:
    assert IDLE_SECONDS < 2


def test_failed_video_says_why(watching_tab: Tab, storing: Storing) -> None:
    end(storing(), to=Status.FAILED, **FAILURE)
    watching_tab.wait_until(lambda: texts(watching_tab) == ["“Bread” failed: Gone."])
    assert watching_tab.sees(SessionState).video_notices[0].is_bad


def test_notice_appears_once_per_tab(watching_tab: Tab, storing: Storing) -> None:
    end(storing())
    watching_tab.wait_until(lambda: texts(watching_tab) != [])
    watching_tab.send(SessionState, "clear_messages")  # loaded again, or another page
    watching_tab.start(ProgressState, "watch")
    end(storing("Rolls"))
    watching_tab.wait_until(lambda: texts(watching_tab) == ["“Rolls” is ready."])


def test_dismissed_notice_stays_dismissed(watching_tab: Tab, storing: Storing) -> None:
    end(storing())
    watching_tab.wait_until(lambda: texts(watching_tab) != [])
    watching_tab.send(
        VideoNoticesState, "hide", number=watching_tab.sees(SessionState).video_notices[0].number
    )
    watching_tab.send(VideoNoticesState, "show_new")
    assert texts(watching_tab) == []


def test_notice_appears_in_all_tabs_of_the_owner_only(
    server: Server, person: Callable[[str], Person], watching_tab: Tab, ada: Person, storing: Storing
) -> None:
    second, bobs = server.tab(ada.token), server.tab(person("bob").token)
    for other in (second, bobs):
        other.start(ProgressState, "watch")
        other.wait_until(lambda: other.sees(VideoNoticesState)._seen is not None)  # noqa: B023 - within this turn
    end(storing("Adas secret plans"))
    for one in (watching_tab, second):
        one.wait_until(lambda: texts(one) != [])  # noqa: B023 - as above
    assert "Adas secret plans" not in bobs.received


def test_new_tab_shows_no_older_notices(server: Server, ada: Person, storing: Storing) -> None:
    video = storing()
    end(video)
    happened(video, ago=OPENING)
    late = server.tab(ada.token)
    late.send(VideoNoticesState, "show_new")
    assert texts(late) == []


def test_tab_that_is_opening_shows_the_notice(server: Server, ada: Person, storing: Storing) -> None:
    video = storing()
    end(video)
    happened(video, ago=-timedelta(minutes=1))  # however slow this test is
    opening = server.tab(ada.token)
    opening.send(VideoNoticesState, "show_new")
    assert texts(opening) == ["“Bread” is ready."]


def test_many_notices_are_summarised(watching_tab: Tab, storing: Storing) -> None:
    end(*(storing() for _ in range(MAX_SHOWN_NOTICES + 1)))
    watching_tab.wait_until(lambda: texts(watching_tab) == ["4 videos are ready"])
    assert watching_tab.sees(SessionState).video_notices[0].link == "/gallery"


def test_no_notice_for_the_video_in_the_modal(watching_tab: Tab, storing: Storing) -> None:
    watched = storing()
    watching_tab.send(CreateState, "open", video_id=watched.id)
    end(watched)
    end(storing("Rolls"))
    watching_tab.wait_until(lambda: texts(watching_tab) == ["“Rolls” is ready."])


def test_cancelled_video_gives_no_notice(watching_tab: Tab, storing: Storing) -> None:
    end(storing(), to=Status.FAILED, error_code="CANCELLED", error_message="This video was cancelled.")
    end(storing("Rolls"))
    watching_tab.wait_until(lambda: texts(watching_tab) == ["“Rolls” is ready."])


def test_all_users_share_one_query(person: Callable[[str], Person], ada: Person, storing: Storing) -> None:
    bob = person("bob")
    end(storing(), storing("Rolls", bob))

    async def query() -> list[list[str]]:
        seen = await asyncio.gather(*(notices_for(one.caller) for one in (ada, bob, ada)))
        assert seen[0] is seen[2]
        return [[notice.title for notice in notices] for notices in seen]

    assert asyncio.run(query()) == [["Bread"], ["Rolls"], ["Bread"]]
