"""Notices of ready and failed videos: on any page of the owner, once, until dismissed."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from tests.state.conftest import Person, Server, Tab
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.models import Event, Status, Video
from videovault.services.core import lifecycle
from videovault.state.create import CreateState
from videovault.state.live_updates import (
    IDLE_SECONDS,
    MAX_SHOWN_NOTICES,
    OPENING,
    ProgressState,
    VideoNoticesState,
    notices_for,
)
from videovault.state.session import SessionState

Storing = Callable[..., Video]
FAILURE: dict[str, Any] = {"error_code": "SOURCE_FAILED", "error_message": "Gone."}


@pytest.fixture
def ada(person: Callable[[str], Person]) -> Person:
    return person("ada")


@pytest.fixture
def tab(server: Server, ada: Person) -> Tab:
    """An open page with live updates."""
    opened = server.tab(ada.token, address="/admin")
    opened.start(ProgressState, "watch")
    opened.wait_until(lambda: opened.sees(VideoNoticesState)._seen is not None)
    return opened


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
    return [news.text for news in tab.sees(SessionState).video_notices]


def test_ready_video_is_announced_with_a_link(tab: Tab, storing: Storing) -> None:
    video = storing()
    end(video)
    tab.wait_until(lambda: texts(tab) == ["“Bread” is ready."])
    [news] = tab.sees(SessionState).video_notices
    assert (news.link, news.link_name, news.is_bad) == (f"/gallery?video={video.id}", "Show “Bread”", False)


def test_notices_appear_within_two_seconds() -> None:
    assert IDLE_SECONDS < 2


def test_failed_video_says_why(tab: Tab, storing: Storing) -> None:
    end(storing(), to=Status.FAILED, **FAILURE)
    tab.wait_until(lambda: texts(tab) == ["“Bread” failed: Gone."])
    assert tab.sees(SessionState).video_notices[0].is_bad


def test_notice_appears_once_per_tab(tab: Tab, storing: Storing) -> None:
    end(storing())
    tab.wait_until(lambda: texts(tab) != [])
    tab.send(SessionState, "clear_messages")  # loaded again, or another page
    tab.start(ProgressState, "watch")
    end(storing("Rolls"))
    tab.wait_until(lambda: texts(tab) == ["“Rolls” is ready."])


def test_dismissed_notice_stays_dismissed(tab: Tab, storing: Storing) -> None:
    end(storing())
    tab.wait_until(lambda: texts(tab) != [])
    tab.send(VideoNoticesState, "hide", number=tab.sees(SessionState).video_notices[0].number)
    tab.send(VideoNoticesState, "show_new")
    assert texts(tab) == []


def test_notice_appears_in_all_tabs_of_the_owner_only(
    server: Server, person: Callable[[str], Person], tab: Tab, ada: Person, storing: Storing
) -> None:
    second, bobs = server.tab(ada.token), server.tab(person("bob").token)
    for other in (second, bobs):
        other.start(ProgressState, "watch")
        other.wait_until(lambda: other.sees(VideoNoticesState)._seen is not None)  # noqa: B023 - within this turn
    end(storing("Adas secret plans"))
    for one in (tab, second):
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


def test_many_notices_are_summarised(tab: Tab, storing: Storing) -> None:
    end(*(storing() for _ in range(MAX_SHOWN_NOTICES + 1)))
    tab.wait_until(lambda: texts(tab) == ["4 videos are ready"])
    assert tab.sees(SessionState).video_notices[0].link == "/gallery"


def test_no_notice_for_the_video_in_the_modal(tab: Tab, storing: Storing) -> None:
    watched = storing()
    tab.send(CreateState, "open", video_id=watched.id)
    end(watched)
    end(storing("Rolls"))
    tab.wait_until(lambda: texts(tab) == ["“Rolls” is ready."])


def test_cancelled_video_gives_no_notice(tab: Tab, storing: Storing) -> None:
    end(storing(), to=Status.FAILED, error_code="CANCELLED", error_message="This video was cancelled.")
    end(storing("Rolls"))
    tab.wait_until(lambda: texts(tab) == ["“Rolls” is ready."])


def test_all_users_share_one_query(person: Callable[[str], Person], ada: Person, storing: Storing) -> None:
    bob = person("bob")
    end(storing(), storing("Rolls", bob))

    async def looks() -> list[list[str]]:
        seen = await asyncio.gather(*(notices_for(one.caller) for one in (ada, bob, ada)))
        assert seen[0] is seen[2]
        return [[notice.title for notice in notices] for notices in seen]

    assert asyncio.run(looks()) == [["Bread"], ["Rolls"], ["Bread"]]
