"""Calls from pages: once for all who ask the same, and never in each other's way."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from videovault.state.calls import SLOW_CALLS, Shared, patiently, quickly

Ask = Callable[[], Awaitable[int]]


def counting(seconds: float = 0.0) -> tuple[Ask, list[int]]:
    asked: list[int] = []

    async def ask() -> int:
        asked.append(len(asked))
        await asyncio.sleep(seconds)
        return asked[-1]

    return ask, asked


def test_many_who_ask_at_once_get_the_same_answer() -> None:
    ask, asked = counting(0.05)

    async def all_at_once() -> list[int]:
        shared: Shared[int] = Shared(10)
        return await asyncio.gather(*(shared.get("ada", ask) for _ in range(50)))

    assert asyncio.run(all_at_once()) == [0] * 50
    assert asked == [0]


def test_answer_is_for_its_key_only() -> None:
    ask, _ = counting()

    async def both() -> list[int]:
        shared: Shared[int] = Shared(10)
        return [await shared.get("ada", ask), await shared.get("bob", ask), await shared.get("ada", ask)]

    assert asyncio.run(both()) == [0, 1, 0]


def test_stale_answer_is_asked_for_anew_and_forgotten() -> None:
    ask, asked = counting()

    async def later() -> int:
        shared: Shared[int] = Shared(0.01)
        await shared.get("ada", ask)
        await asyncio.sleep(0.02)
        await shared.get("bob", ask)
        return len(shared._asked)

    assert asyncio.run(later()) == 1
    assert asked == [0, 1]


def test_error_reaches_all_who_asked() -> None:
    async def fail() -> int:
        await asyncio.sleep(0)
        raise LookupError

    async def both() -> list[int | BaseException]:
        shared: Shared[int] = Shared(10)
        return await asyncio.gather(*(shared.get("ada", fail) for _ in range(2)), return_exceptions=True)

    assert [type(answer) for answer in asyncio.run(both())] == [LookupError, LookupError]


def test_one_who_leaves_does_not_take_the_answer_along() -> None:
    ask, asked = counting(0.05)

    async def leaving() -> int:
        shared: Shared[int] = Shared(10)
        impatient = asyncio.create_task(shared.get("ada", ask))
        patient = asyncio.create_task(shared.get("ada", ask))
        await asyncio.sleep(0.01)
        impatient.cancel()
        return await patient

    assert asyncio.run(leaving()) == 0
    assert asked == [0]


@pytest.mark.timeout(60)
def test_quick_calls_do_not_wait_for_slow_ones() -> None:
    over = threading.Event()

    async def both() -> str:
        slow = [asyncio.ensure_future(patiently(over.wait)) for _ in range(SLOW_CALLS + 4)]
        try:
            return await asyncio.wait_for(quickly(lambda: "at once"), timeout=30)
        finally:
            over.set()
            await asyncio.gather(*slow)

    assert asyncio.run(both()) == "at once"


def test_event_loop_goes_on_while_a_call_blocks() -> None:
    async def beside() -> bool:
        call = asyncio.ensure_future(patiently(time.sleep, 0.1))
        await asyncio.sleep(0)
        went_on = not call.done()
        await call
        return went_on

    assert asyncio.run(beside())
