"""One query serves all subscribers and wakes only those whose value has changed."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.support.waiting import HANG_SECONDS
from videovault.state import live_updates
from videovault.state.live_updates import ChangeFeed

LONG = HANG_SECONDS


class Source:
    """The values, and the queries for them."""

    def __init__(self, **things: int) -> None:
        self.things = dict(things)
        self.looks: list[set[str]] = []
        self.fails = 0

    async def look(self, people: Collection[str]) -> Mapping[str, int]:
        await asyncio.sleep(0)
        self.looks.append(set(people))
        if len(self.looks) <= self.fails:
            raise OperationalError("select", {}, RuntimeError("the disk is gone"))
        return {person: thing for person, thing in self.things.items() if person in people}


def listening(world: Source, pause: float = 0.01) -> ChangeFeed[int]:
    return ChangeFeed(world.look, lambda _found: pause, 0)


def run(course: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LONG):
            await course

    asyncio.run(limited())


def test_subscribers_share_a_query() -> None:
    world = Source(ada=1, bob=2)

    async def course() -> None:
        heard = listening(world)
        people = ["ada", "bob"] * 50
        assert (
            await asyncio.gather(*(heard.next_value(person, None, LONG) for person in people)) == [1, 2] * 50
        )

    run(course())
    assert len(world.looks) == 1
    assert world.looks[0] == {"ada", "bob"}


def test_only_changed_values_wake_their_subscribers() -> None:
    world = Source(ada=1, bob=2)

    async def course() -> None:
        heard = listening(world)
        bob = asyncio.ensure_future(heard.next_value("bob", 2, LONG))
        ada = asyncio.ensure_future(heard.next_value("ada", 1, LONG))
        assert await ada == 1  # the first look tells everybody
        assert await bob == 2
        bob = asyncio.ensure_future(heard.next_value("bob", 2, LONG))
        ada = asyncio.ensure_future(heard.next_value("ada", 1, LONG))
        await asyncio.sleep(0)
        world.things["ada"] = 5
        assert await ada == 5
        assert not bob.done()
        bob.cancel()

    run(course())


def test_outdated_subscriber_gets_the_value_at_once() -> None:
    world = Source(ada=1)

    async def course() -> None:
        heard = listening(world, pause=LONG)
        assert await heard.next_value("ada", None, LONG) == 1
        assert await heard.next_value("ada", 7, LONG) == 1

    run(course())
    assert len(world.looks) == 1


def test_timeout_returns_the_known_value() -> None:
    async def course() -> None:
        heard = listening(Source())
        assert await heard.next_value("ada", 0, 0.05) == 0

    run(course())


def test_new_subscriber_does_not_wait_for_the_next_query() -> None:
    world = Source(ada=1, bob=2)

    async def course() -> None:
        heard = listening(world, pause=LONG)
        ada = asyncio.ensure_future(heard.next_value("ada", None, LONG))
        assert await ada == 1
        staying = asyncio.ensure_future(heard.next_value("ada", 1, LONG))
        assert await heard.next_value("bob", None, LONG) == 2
        staying.cancel()

    run(course())


def test_polling_stops_without_subscribers() -> None:
    world = Source(ada=1)

    async def course() -> None:
        heard = listening(world)
        assert await heard.next_value("ada", None, LONG) == 1
        assert heard._polling
        await heard._polling
        world.things["ada"] = 2
        assert await heard.next_value("ada", None, LONG) == 2

    run(course())
    assert len(world.looks) == 2


def test_polling_continues_after_a_database_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_updates, "RETRY_SECONDS", 0.01)
    world = Source(ada=1)
    world.fails = 2

    async def course() -> None:
        assert await listening(world).next_value("ada", None, LONG) == 1

    run(course())
