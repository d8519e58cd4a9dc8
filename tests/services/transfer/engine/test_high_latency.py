"""Sources with long round trips: several readers from the start, pipelining, and taking over from slow readers."""

import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from threading import Event

import pytest

from tests.services.transfer.engine.conftest import Control, Engine, Stopped
from tests.support.misbehaving_server import MIB, MisbehavingServer, Seen, ServerBehaviour, payload
from tests.support.waiting import HANG_SECONDS
from videovault.gateways import transport
from videovault.gateways.source import Source
from videovault.gateways.ssrf import AddressGuard, system_resolver
from videovault.gateways.transport import GuardedTransport
from videovault.services.transfer.engine import part_buffers
from videovault.services.transfer.engine.part_buffers import Subrange
from videovault.services.transfer.engine.reader_pool import MULTI_READER_WINDOW

pytestmark = pytest.mark.thorough

PART = 5 * MIB  # four subranges, which can be split
SIZE = 3 * PART + 12_345
LONG = 5 * PART - 54_321  # enough subranges for several of each reader
FAR = 0.03  # seconds before each answer
SLOW = 14 * MIB  # bytes a second of each connection


@pytest.fixture
def engine(engine: Engine) -> Iterator[Engine]:
    """Without the kernel's round-trip times, so that a server slow to answer counts as far away."""
    policy = engine.source._policy
    guard = AddressGuard(policy.allow, system_resolver)
    source = Source(policy, transport=GuardedTransport(guard, round_trip=lambda _connection: None))
    yield replace(engine, source=source, part_bytes=PART)
    source.close()


def far(**behaviour: object) -> ServerBehaviour:
    options = {"size": SIZE, "delay": FAR, "bytes_per_second": SLOW, **behaviour}
    return ServerBehaviour(**options)  # type: ignore[arg-type]


def arrived(engine: Engine, crc32: int, size: int = SIZE) -> bool:
    body = payload(size)
    return crc32 == zlib.crc32(body) and engine.holds() == body


def connections(server: MisbehavingServer, path: str) -> int:
    return len({seen.connection for seen in server.seen(path)})


def test_readers_request_the_next_subrange_before_the_current_response_has_ended(
    engine: Engine, server: MisbehavingServer
) -> None:
    path = "/far.mp4"
    stored = engine.run(server.serve(path, far(size=LONG, early="well")))
    assert arrived(engine, stored.crc32, LONG)
    assert server.early(path) >= 3
    assert 1 < connections(server, path) <= 10


def test_a_near_source_starts_with_one_connection(engine: Engine, server: MisbehavingServer) -> None:
    path = "/near.mp4"
    engine.run(server.serve(path, ServerBehaviour(size=PART)))
    assert connections(server, path) == 1


@pytest.mark.parametrize(
    ("name", "behaviour"),
    [
        ("forgotten", {"early": "forgotten"}),
        ("refused", {"early": "refused"}),
        ("closed", {"early": "well", "closes": True}),
        ("other range", {"early": "other range"}),
        ("dropped", {"early": "well", "drop_after": 900_000}),
        ("redirected", {"early": "well"}),
    ],
)
def test_faulty_answers_to_pipelined_requests_never_change_the_bytes(
    engine: Engine,
    server: MisbehavingServer,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    behaviour: dict[str, object],
) -> None:
    monkeypatch.setattr(transport, "PIPELINED_RESPONSE_SECONDS", 0.5)
    path = f"/far-{name.replace(' ', '-')}.mp4"
    url = server.serve(path, far(**behaviour))
    if name == "redirected":
        url = server.redirect("/redirects.mp4", url)
    stored = engine.run(url)
    assert arrived(engine, stored.crc32)
    assert stored.fetched == SIZE or name == "other range"  # then the transfer restarts with one connection
    assert not list(engine.storage.uploads())


def test_later_requests_go_directly_to_the_redirect_target(engine: Engine, server: MisbehavingServer) -> None:
    engine.run(server.redirect("/old.mp4", server.serve("/new.mp4", far(size=LONG, early="well"))))
    assert len(server.seen("/old.mp4")) == 1
    assert server.early("/new.mp4") > 1


@pytest.mark.parametrize(("nth", "rate"), [(1, 1_000), (2, 1_000), (2, 100)])
def test_a_very_slow_connection_is_taken_over_and_dropped(
    engine: Engine, server: MisbehavingServer, nth: int, rate: int
) -> None:
    path = f"/crawls-{nth}-{rate}.mp4"
    url = server.serve(path, far(crawls=(nth, rate)))
    started = time.monotonic()
    stored = engine.run(url)
    assert time.monotonic() - started < HANG_SECONDS  # one subrange alone would take more than twenty minutes
    assert arrived(engine, stored.crc32)
    assert stored.fetched == SIZE


def test_connections_that_break_while_others_take_over_lose_nothing(
    engine: Engine, server: MisbehavingServer
) -> None:
    """The subrange may be split while its reader waits before its next attempt."""
    behaviour = far(drop_after=300_000, crawls=(2, 100_000))
    stored = engine.run(server.serve("/crawls-and-breaks.mp4", behaviour))
    assert arrived(engine, stored.crc32)
    assert stored.fetched == SIZE


def _others(seen: Seen) -> bool:
    return seen.nth > 1


def test_the_first_reader_continues_when_all_others_are_refused(
    engine: Engine, server: MisbehavingServer
) -> None:
    path = "/only-one.mp4"
    stored = engine.run(server.serve(path, far(refuses=_others)))
    assert arrived(engine, stored.crc32)
    assert len([seen for seen in server.seen(path) if not _others(seen)]) == 1  # its one stream, to the end


def test_a_waiting_first_reader_continues_when_all_others_are_refused(
    engine: Engine, server: MisbehavingServer
) -> None:
    """Its stream has ended where others read; from then on the server answers only open-ended requests."""
    path, refusing = "/refused-later.mp4", Event()

    def refuses(seen: Seen) -> bool:
        return refusing.is_set() and not (seen.range or "").endswith("-")

    class Turning(Control):
        def progress(self, bytes_done: int, bytes_total: int | None) -> None:
            super().progress(bytes_done, bytes_total)
            if bytes_done > 16 * MIB:
                refusing.set()

    stored = engine.run(server.serve(path, far(size=LONG, refuses=refuses)), control=Turning())
    assert arrived(engine, stored.crc32, LONG)
    late = [seen for seen in server.seen(path)[1:] if (seen.range or "").endswith("-")]
    assert late
    assert stored.fetched == LONG


def test_memory_holds_no_more_parts_than_the_window(
    engine: Engine, server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    max_parts = 0

    class Watched(part_buffers.PartBuffers):
        def next_view(self, subrange: Subrange, max_bytes: int) -> memoryview:
            nonlocal max_parts
            max_parts = max(max_parts, len(self._open) + len(self._free))
            return super().next_view(subrange, max_bytes)

    monkeypatch.setattr("videovault.services.transfer.engine.transfer.PartBuffers", Watched)
    engine = replace(engine, part_bytes=MIB)
    stored = engine.run(server.serve("/bounded.mp4", far(size=24 * MIB, bytes_per_second=None)))
    assert stored.size == 24 * MIB
    assert 3 < max_parts <= MULTI_READER_WINDOW


def test_a_stop_ends_all_readers_and_the_next_run_fetches_what_is_missing(
    engine: Engine, server: MisbehavingServer
) -> None:
    url = server.serve("/far-stop.mp4", far(early="well"))
    with pytest.raises(Stopped):
        engine.run(url, control=Control(stop_at=9 * MIB))
    stored = engine.run(url)
    assert stored.fetched < SIZE
    assert arrived(engine, stored.crc32)
