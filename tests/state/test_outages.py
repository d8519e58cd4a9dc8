"""The monitor of outages, and what pages do in one and after it."""

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from reflex_base.event.context import EventContext
from sqlalchemy.exc import OperationalError

from tests.state.conftest import Tab
from tests.support.waiting import HANG_SECONDS
from videovault.logs import OncePerInterval
from videovault.pages import PAGES
from videovault.state import outages, session
from videovault.state.create import CreateState
from videovault.state.live_updates import ProgressState
from videovault.state.outages import OutageMonitor
from videovault.state.session import (
    IS_RECONNECT,
    PAGE_LOAD,
    SessionGuard,
    SessionState,
    on_server_error,
    open_tabs,
)


class Service:
    """Answers, fails, or hangs."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.calls = 0

    async def probe(self) -> None:
        self.calls += 1
        await self.answers.wait()
        if self.error:
            raise self.error


class Pages:
    """What they were told."""

    def __init__(self) -> None:
        self.are_open = True
        self.told: list[bool] = []
        self._changed = asyncio.Event()

    async def report(self, is_outage: bool) -> None:
        self.told.append(is_outage)
        self._changed.set()

    async def next_report(self) -> list[bool]:
        await self._changed.wait()
        self._changed.clear()
        return self.told


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "PERIOD_SECONDS", 0.02)
    monkeypatch.setattr(outages, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(outages, "ANSWER_SECONDS", 0.05)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(HANG_SECONDS):
            await scenario

    asyncio.run(limited())


def watched(service: Service, pages: Pages) -> OutageMonitor:
    monitor = OutageMonitor()
    monitor.configure({"service": service.probe}, pages.report, lambda: pages.are_open)
    monitor.start()
    return monitor


def test_pages_are_told_when_an_outage_begins_and_ends() -> None:
    async def scenario() -> None:
        service, pages = Service(), Pages()
        monitor = watched(service, pages)
        service.error = RedisConnectionError("refused")
        assert await pages.next_report() == [True]
        assert monitor.is_outage
        service.error = None
        assert await pages.next_report() == [True, False]
        assert monitor.outages == 1
        pages.are_open = False

    run(scenario())


def test_a_probe_that_hangs_is_an_outage_and_is_not_called_again() -> None:
    async def scenario() -> None:
        service, pages = Service(), Pages()
        service.answers.clear()
        watched(service, pages)
        assert await pages.next_report() == [True]
        await asyncio.sleep(0.2)
        assert service.calls == 1
        service.answers.set()
        assert await pages.next_report() == [True, False]
        pages.are_open = False

    run(scenario())


def test_loops_wait_for_the_end() -> None:
    async def scenario() -> None:
        service, pages = Service(), Pages()
        monitor = watched(service, pages)
        service.error = RedisConnectionError("refused")
        await pages.next_report()
        loops = [asyncio.ensure_future(monitor.wait_for_end()) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert not any(loop.done() for loop in loops)
        service.error = None
        await asyncio.gather(*loops)
        pages.are_open = False

    run(scenario())


def test_nothing_is_probed_without_open_pages_and_no_loop_hangs() -> None:
    async def scenario() -> None:
        service, pages = Service(), Pages()
        monitor = watched(service, pages)
        service.error = RedisConnectionError("refused")
        await pages.next_report()
        waiting = asyncio.ensure_future(monitor.wait_for_end())
        pages.are_open = False
        await waiting
        await monitor.wait_for_end()
        calls = service.calls
        await asyncio.sleep(0.1)
        assert service.calls == calls

    run(scenario())


def test_an_error_of_an_outage_is_shown_once_not_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "failed_tabs", set())
    monkeypatch.setattr(session, "_outage_lines", OncePerInterval(HANG_SECONDS))

    class Context:
        token = "tab"

    monkeypatch.setattr(EventContext, "get", lambda: Context)
    error = OperationalError("SELECT 1", {}, Exception("refused"))
    assert on_server_error(error) is not None
    assert on_server_error(error) is None
    assert session.failed_tabs == {"tab"}


@pytest.mark.parametrize(
    ("is_reconnect", "is_loaded", "runs"),
    [(True, True, "resume"), (True, False, ""), (False, True, "")],
    ids=["restored", "restored, never loaded", "loaded again"],
)
def test_a_page_whose_connection_is_restored_keeps_its_dialogs(
    monkeypatch: pytest.MonkeyPatch, is_reconnect: bool, is_loaded: bool, runs: str
) -> None:
    class Context:
        router_data = {"pathname": "/create", IS_RECONNECT: is_reconnect}

    monkeypatch.setattr(EventContext, "get", lambda: Context)
    shown = SessionState(_reflex_internal_init=True)  # type: ignore[call-arg] # Reflex's own argument
    shown._is_loaded = is_loaded
    update = SessionGuard({"/create": [CreateState.resume]})._page_load(shown)
    names = [event.name.rpartition(".")[2] for event in update.events] if update else []
    assert names == ([runs, "set_is_hydrated"] if runs else [])
    assert PAGE_LOAD.endswith("on_load_internal")


def test_every_page_that_follows_changes_says_what_runs_when_it_is_connected_again() -> None:
    following = [page for page in PAGES if ProgressState.watch in page.on_load]
    assert len(following) >= 8
    assert all(page.on_reconnect and page.on_reconnect[-1] is ProgressState.watch for page in following)


def test_the_loop_of_a_page_ends_with_its_connection(ada: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user who signs in at the tab has another one, and sees nothing of what the first one's loop sends."""
    ada.send(SessionState, "clear_messages")
    ada.server.received.deltas.clear()
    numbers = itertools.count(1)
    monkeypatch.setattr(open_tabs, "_socket_of", lambda _token: f"socket {next(numbers)}")
    ada.send(ProgressState, "watch")  # returns when the loop has ended
    assert ProgressState.get_full_name() not in ada.received


def test_the_loop_of_a_page_ends_with_its_tab(ada: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_tabs, "_socket_of", lambda token: "" if token == ada.token else "any")
    ada.send(ProgressState, "watch")  # returns when the loop has ended
