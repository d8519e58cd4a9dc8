"""News of finished and failed videos: on any page of their owner, once, and gone when put away."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from tests.state.conftest import Person, Server, Tab
from videovault.db import transaction
from videovault.models import Event, Status, Video, utcnow
from videovault.services.core import lifecycle
from videovault.state.create import CreateState
from videovault.state.live_updates import (
    IDLE_SECONDS,
    SHOWN_AT_ONCE,
    WHILE_OPENING,
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
    """A page that is open and listens."""
    opened = server.tab(ada.token, address="/admin")
    opened.start(ProgressState, "watch")
    opened.waits_until(lambda: opened.sees(VideoNoticesState)._told is not None)
    return opened


@pytest.fixture
def storing(ada: Person) -> Storing:
    """Makes videos that are being stored, Ada's if nobody else is named."""

    def make(title: str = "Bread", owner: Person = ada) -> Video:
        with transaction() as session:
            video = lifecycle.new_video(owner.caller.user_id, Status.STORING, title)
            session.add(video)
        return video

    return make


def end(*videos: Video, to: Status = Status.READY, **values: Any) -> None:
    """All of them at one moment."""
    with transaction() as session:
        for video in videos:
            assert lifecycle.transition(session, video, to, **values)


def happened(video: Video, ago: timedelta) -> None:
    with transaction() as session:
        session.exec(select(Event).where(Event.video_id == video.id)).one().at = utcnow() - ago


def texts(tab: Tab) -> list[str]:
    return [news.text for news in tab.sees(SessionState).news]


def test_ready_video_is_told_with_a_way_to_it(tab: Tab, storing: Storing) -> None:
    video = storing()
    end(video)
    tab.waits_until(lambda: texts(tab) == ["“Bread” is ready."])
    [news] = tab.sees(SessionState).news
    assert (news.link, news.link_name, news.is_bad) == (f"/gallery?video={video.id}", "Show “Bread”", False)


def test_no_page_waits_for_news_longer_than_two_seconds() -> None:
    assert IDLE_SECONDS < 2


def test_failed_video_says_why(tab: Tab, storing: Storing) -> None:
    end(storing(), to=Status.FAILED, **FAILURE)
    tab.waits_until(lambda: texts(tab) == ["“Bread” failed: Gone."])
    assert tab.sees(SessionState).news[0].is_bad


def test_news_is_told_once_in_a_tab_whichever_page_it_shows(tab: Tab, storing: Storing) -> None:
    end(storing())
    tab.waits_until(lambda: texts(tab) != [])
    tab.send(SessionState, "arrive")  # loaded again, or another page
    tab.start(ProgressState, "watch")
    end(storing("Rolls"))
    tab.waits_until(lambda: texts(tab) == ["“Rolls” is ready."])


def test_news_that_was_put_away_stays_away(tab: Tab, storing: Storing) -> None:
    end(storing())
    tab.waits_until(lambda: texts(tab) != [])
    tab.send(VideoNoticesState, "hide", number=tab.sees(SessionState).news[0].number)
    tab.send(VideoNoticesState, "tell")
    assert texts(tab) == []


def test_every_tab_of_the_owner_is_told_and_nobody_else(
    server: Server, person: Callable[[str], Person], tab: Tab, ada: Person, storing: Storing
) -> None:
    second, bobs = server.tab(ada.token), server.tab(person("bob").token)
    for other in (second, bobs):
        other.start(ProgressState, "watch")
        other.waits_until(lambda: other.sees(VideoNoticesState)._told is not None)  # noqa: B023 - within this turn
    end(storing("Adas secret plans"))
    for one in (tab, second):
        one.waits_until(lambda: texts(one) != [])  # noqa: B023 - as above
    assert "Adas secret plans" not in bobs.received


def test_tab_that_is_opened_later_is_told_nothing_of_before(
    server: Server, ada: Person, storing: Storing
) -> None:
    video = storing()
    end(video)
    happened(video, ago=WHILE_OPENING)
    late = server.tab(ada.token)
    late.send(VideoNoticesState, "tell")
    assert texts(late) == []


def test_tab_that_was_just_being_opened_is_told(server: Server, ada: Person, storing: Storing) -> None:
    video = storing()
    end(video)
    happened(video, ago=-timedelta(minutes=1))  # however slow this test is
    opening = server.tab(ada.token)
    opening.send(VideoNoticesState, "tell")
    assert texts(opening) == ["“Bread” is ready."]


def test_many_at_once_are_told_together(tab: Tab, storing: Storing) -> None:
    end(*(storing() for _ in range(SHOWN_AT_ONCE + 1)))
    tab.waits_until(lambda: texts(tab) == ["4 videos are ready"])
    assert tab.sees(SessionState).news[0].link == "/gallery"


def test_modal_that_shows_the_video_tells_by_itself(tab: Tab, storing: Storing) -> None:
    watched = storing()
    tab.send(CreateState, "open", video_id=watched.id)
    end(watched)
    end(storing("Rolls"))
    tab.waits_until(lambda: texts(tab) == ["“Rolls” is ready."])


def test_cancelled_video_is_no_news(tab: Tab, storing: Storing) -> None:
    end(storing(), to=Status.FAILED, error_code="CANCELLED", error_message="This video was cancelled.")
    end(storing("Rolls"))
    tab.waits_until(lambda: texts(tab) == ["“Rolls” is ready."])


def test_everybody_shares_one_look(person: Callable[[str], Person], ada: Person, storing: Storing) -> None:
    bob = person("bob")
    end(storing(), storing("Rolls", bob))

    async def looks() -> list[list[str]]:
        seen = await asyncio.gather(*(notices_for(one.caller) for one in (ada, bob, ada)))
        assert seen[0] is seen[2]
        return [[notice.title for notice in notices] for notices in seen]

    assert asyncio.run(looks()) == [["Bread"], ["Rolls"], ["Bread"]]
