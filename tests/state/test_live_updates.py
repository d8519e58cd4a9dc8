"""One look serves all who listen, and wakes only those for whom something has changed."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.support.waiting import HANG_SECONDS
from videovault.state import live_updates
from videovault.state.live_updates import ChangeFeed

LONG = HANG_SECONDS


class World:
    """What there is to be seen, and how often somebody looked."""

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


def listening(world: World, pause: float = 0.01) -> ChangeFeed[int]:
    return ChangeFeed(world.look, lambda _found: pause, 0)


def run(course: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LONG):
            await course

    asyncio.run(limited())


def test_many_listeners_share_a_look() -> None:
    world = World(ada=1, bob=2)

    async def course() -> None:
        heard = listening(world)
        people = ["ada", "bob"] * 50
        assert await asyncio.gather(*(heard.hear(person, None, LONG) for person in people)) == [1, 2] * 50

    run(course())
    assert len(world.looks) == 1
    assert world.looks[0] == {"ada", "bob"}


def test_only_who_is_concerned_wakes() -> None:
    world = World(ada=1, bob=2)

    async def course() -> None:
        heard = listening(world)
        bob = asyncio.ensure_future(heard.hear("bob", 2, LONG))
        ada = asyncio.ensure_future(heard.hear("ada", 1, LONG))
        assert await ada == 1  # the first look tells everybody
        assert await bob == 2
        bob = asyncio.ensure_future(heard.hear("bob", 2, LONG))
        ada = asyncio.ensure_future(heard.hear("ada", 1, LONG))
        await asyncio.sleep(0)
        world.things["ada"] = 5
        assert await ada == 5
        assert not bob.done()
        bob.cancel()

    run(course())


def test_who_knows_an_older_state_is_told_at_once() -> None:
    world = World(ada=1)

    async def course() -> None:
        heard = listening(world, pause=LONG)
        assert await heard.hear("ada", None, LONG) == 1
        assert await heard.hear("ada", 7, LONG) == 1

    run(course())
    assert len(world.looks) == 1


def test_who_waits_in_vain_hears_what_is_known() -> None:
    async def course() -> None:
        heard = listening(World())
        assert await heard.hear("ada", 0, 0.05) == 0

    run(course())


def test_newcomer_does_not_wait_for_the_next_look() -> None:
    world = World(ada=1, bob=2)

    async def course() -> None:
        heard = listening(world, pause=LONG)
        ada = asyncio.ensure_future(heard.hear("ada", None, LONG))
        assert await ada == 1
        staying = asyncio.ensure_future(heard.hear("ada", 1, LONG))
        assert await heard.hear("bob", None, LONG) == 2
        staying.cancel()

    run(course())


def test_nobody_looks_once_all_have_left() -> None:
    world = World(ada=1)

    async def course() -> None:
        heard = listening(world)
        assert await heard.hear("ada", None, LONG) == 1
        assert heard._looking
        await heard._looking
        world.things["ada"] = 2
        assert await heard.hear("ada", None, LONG) == 2

    run(course())
    assert len(world.looks) == 2


def test_looking_goes_on_after_the_database_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_updates, "TROUBLE_SECONDS", 0.01)
    world = World(ada=1)
    world.fails = 2

    async def course() -> None:
        assert await listening(world).hear("ada", None, LONG) == 1

    run(course())
