"""Several ranges at once where the source limits each connection, otherwise one stream."""

from dataclasses import replace
from threading import Event
from types import SimpleNamespace

import pytest

from tests.services.transfer.engine.conftest import Control, Engine, Stopped
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from videovault.services.transfer.engine import reader_pool
from videovault.services.transfer.engine.reader_pool import (
    EARLY_SAMPLE_SECONDS,
    MAX_SAMPLES,
    ConcurrencyController,
    Meter,
)

pytestmark = pytest.mark.thorough

PART = 5 * MIB  # four subranges, for as many readers
SIZE = 24 * MIB + 12_345
SLOW = 8 * MIB


@pytest.fixture
def engine(engine: Engine) -> Engine:
    return replace(engine, part_bytes=PART)


def test_a_source_that_limits_each_connection_is_read_by_several(
    engine: Engine, server: MisbehavingServer
) -> None:
    path = "/throttled.mp4"
    engine.run(server.serve(path, ServerBehaviour(size=SIZE, bytes_per_second=SLOW)))
    assert engine.holds() == payload(SIZE)
    asked = [seen for seen in server.seen(path) if seen.range]
    assert len({seen.connection for seen in asked}) > 1
    assert {seen.if_range for seen in asked} == {'"v1"'}


CLAIMED = {"Accept-Ranges": "bytes"}


@pytest.mark.parametrize(
    "behaviour",
    [{"ranges": False}, {"etag": None}, {"chunked": True}],
    ids=["none", "without a validator", "without a length"],
)
def test_without_proven_ranges_there_is_one_connection(
    engine: Engine, server: MisbehavingServer, behaviour: dict[str, object]
) -> None:
    path = f"/one-{hash(str(behaviour))}.mp4"
    options = {"size": 10 * MIB, "bytes_per_second": 10 * MIB, **behaviour}
    engine.run(server.serve(path, ServerBehaviour(**options)))  # type: ignore[arg-type]
    assert engine.holds() == payload(10 * MIB)
    assert len([seen for seen in server.seen(path) if not seen.range]) == 1
    assert not list(engine.storage.uploads())


def test_a_source_that_only_claims_ranges_is_read_by_one_connection_at_most_twice(
    engine: Engine, server: MisbehavingServer
) -> None:
    """Twice if its first connection had already left the rest to the others."""
    path = "/claims.mp4"
    options = {"size": 10 * MIB, "bytes_per_second": 10 * MIB, "ranges": False, "headers": CLAIMED}
    engine.run(server.serve(path, ServerBehaviour(**options)))  # type: ignore[arg-type]
    assert engine.holds() == payload(10 * MIB)
    assert len([seen for seen in server.seen(path) if not seen.range]) <= 2
    assert not list(engine.storage.uploads())


def test_drops_on_many_connections_lose_nothing(engine: Engine, server: MisbehavingServer) -> None:
    behaviour = ServerBehaviour(size=SIZE, bytes_per_second=SLOW, drop_after=900_000)
    engine.run(server.serve("/throttled-drops.mp4", behaviour))
    assert engine.holds() == payload(SIZE)


def test_a_source_that_changes_under_many_connections_is_fetched_from_the_beginning(
    engine: Engine, server: MisbehavingServer
) -> None:
    path, changed = "/throttled-changes.mp4", Event()

    class Changing(Control):
        def progress(self, bytes_done: int, bytes_total: int | None) -> None:
            super().progress(bytes_done, bytes_total)
            if bytes_done > 12 * MIB and not changed.is_set():
                changed.set()
                server.serve(path, ServerBehaviour(size=SIZE, seed=3, etag='"v2"', bytes_per_second=SLOW))

    engine.run(server.serve(path, ServerBehaviour(size=SIZE, bytes_per_second=SLOW)), control=Changing())
    assert engine.holds() == payload(SIZE, 3)


def test_stopped_in_the_middle_it_resumes_with_what_is_missing(
    engine: Engine, server: MisbehavingServer
) -> None:
    url = server.serve("/throttled-stop.mp4", ServerBehaviour(size=SIZE, bytes_per_second=SLOW))
    with pytest.raises(Stopped):
        engine.run(url, control=Control(stop_at=18 * MIB))
    assert engine.run(url).fetched < SIZE
    assert engine.holds() == payload(SIZE)


def test_readers_are_added_while_they_help_and_dropped_when_they_do_not() -> None:
    controller = ConcurrencyController(Meter())
    for rate, wanted in ((20e6, 3), (60e6, 8)):
        controller._decide(rate, rate)
        assert controller.wanted == wanted
    for _ in range(MAX_SAMPLES):
        controller._decide(61e6, 61e6)
    assert controller.wanted == 3


def test_a_fast_source_keeps_its_one_connection() -> None:
    controller = ConcurrencyController(Meter())
    controller._decide(900e6, 900e6)
    assert controller.wanted == 1


def after(controller: ConcurrencyController, now: list[float], seconds: float, rate: float) -> int:
    """How many readers are wanted after ``seconds`` more at this rate."""
    now[0] += seconds
    return controller.readers_wanted(int(rate * seconds), waited=False, latency=0.001)


@pytest.mark.parametrize(
    ("rates", "wanted"),
    [((20e6, 60e6), [3, 8]), ((20e6, 30e6), [3, 3]), ((100e6, 300e6), [1, 1])],
)
def test_a_clear_case_is_decided_early(
    rates: tuple[float, float], wanted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(reader_pool, "time", SimpleNamespace(monotonic=lambda: now[0]))
    controller = ConcurrencyController(Meter())
    after(controller, now, 0.004, 1e9)  # what arrived while the connection started does not count
    first = after(controller, now, EARLY_SAMPLE_SECONDS * 1.01, rates[0])
    after(controller, now, 0.004, rates[1])
    assert [first, after(controller, now, EARLY_SAMPLE_SECONDS * 1.01, rates[1])] == wanted
