"""Calls from pages: once for all who ask the same, and never in each other's way."""

import asyncio
import threading
from collections.abc import Collection, Mapping

from tests.support.waiting import HANG_SECONDS
from videovault.state.background import (
    IO_THREADS,
    REFRESH_LIFETIMES,
    BatchedCache,
    run_in_db_pool,
    run_in_io_pool,
)


class Answers:
    """Answers with the number of queries so far, and records the keys of each query."""

    def __init__(self, takes: float = 0.0) -> None:
        self.asked: list[set[str]] = []
        self._takes = takes

    async def ask(self, names: Collection[str]) -> Mapping[str, int]:
        self.asked.append(set(names))
        number = len(self.asked)
        await asyncio.sleep(self._takes)
        return {name: number for name in names if name != "missing"}


def test_concurrent_calls_share_an_answer() -> None:
    answers = Answers(0.05)

    async def all_at_once() -> list[int | None]:
        shared = BatchedCache(10, answers.ask)
        return await asyncio.gather(*(shared.get("ada") for _ in range(50)))

    assert asyncio.run(all_at_once()) == [1] * 50
    assert answers.asked == [{"ada"}]


def test_answers_belong_to_their_key() -> None:
    answers = Answers()

    async def both() -> list[int | None]:
        shared = BatchedCache(10, answers.ask)
        return [await shared.get(name) for name in ("ada", "missing", "ada")]

    assert asyncio.run(both()) == [1, None, 2]
    assert answers.asked == [{"ada"}, {"ada", "missing"}]


def test_recent_keys_are_fetched_together() -> None:
    answers = Answers()

    async def later() -> tuple[int | None, int | None]:
        shared = BatchedCache(10, answers.ask)
        await asyncio.gather(shared.get("ada"), shared.get("bob"))
        shared._fetched_at -= 11
        return await asyncio.gather(shared.get("ada"), shared.get("bob"))

    assert tuple(asyncio.run(later())) == (2, 2)
    assert answers.asked == [{"ada", "bob"}] * 2


def test_unused_keys_are_dropped() -> None:
    answers = Answers()

    async def later() -> None:
        shared = BatchedCache(10, answers.ask)
        await shared.get("ada")
        shared._used_at["ada"] -= 10 * (REFRESH_LIFETIMES + 1)
        shared._fetched_at -= 11
        await shared.get("bob")

    asyncio.run(later())
    assert answers.asked == [{"ada"}, {"bob"}]


def test_key_added_during_a_query_is_fetched_next() -> None:
    answers = Answers(0.02)

    async def one_after_the_other() -> list[int | None]:
        shared = BatchedCache(10, answers.ask)
        first = asyncio.ensure_future(shared.get("ada"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return [await shared.get("bob"), await first]

    assert asyncio.run(one_after_the_other()) == [2, 1]


def test_error_reaches_all_callers() -> None:
    async def fail(names: Collection[str]) -> Mapping[str, int]:
        await asyncio.sleep(0)
        raise LookupError(names)

    async def both() -> list[int | BaseException | None]:
        shared = BatchedCache(10, fail)
        return await asyncio.gather(*(shared.get("ada") for _ in range(2)), return_exceptions=True)

    assert [type(answer) for answer in asyncio.run(both())] == [LookupError, LookupError]


def test_cancelled_caller_does_not_cancel_the_query() -> None:
    answers = Answers(0.05)

    async def leaving() -> int | None:
        shared = BatchedCache(10, answers.ask)
        impatient = asyncio.create_task(shared.get("ada"))
        patient = asyncio.create_task(shared.get("ada"))
        await asyncio.sleep(0.01)
        impatient.cancel()
        return await patient

    assert asyncio.run(leaving()) == 1
    assert len(answers.asked) == 1


def test_database_calls_do_not_wait_for_io_calls() -> None:
    over = threading.Event()

    async def both() -> str:
        slow = [asyncio.ensure_future(run_in_io_pool(over.wait)) for _ in range(IO_THREADS + 4)]
        try:
            return await asyncio.wait_for(run_in_db_pool(lambda: "at once"), timeout=HANG_SECONDS)
        finally:
            over.set()
            await asyncio.gather(*slow)

    assert asyncio.run(both()) == "at once"


def test_blocking_call_does_not_block_the_event_loop() -> None:
    async def beside() -> bool:
        over = threading.Event()
        call = asyncio.ensure_future(run_in_io_pool(over.wait))
        await asyncio.sleep(0)
        went_on = not call.done()
        over.set()
        await call
        return went_on

    assert asyncio.run(beside())
