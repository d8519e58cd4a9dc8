"""Pipelining: the next request is sent before the current response has ended, where the server supports it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import SimpleNamespace

import pytest

from tests.gateways.conftest import MakeSource, read_all
from tests.support.misbehaving_server import MIB, Manners, NaughtyServer, payload
from tests.support.waiting import eventually
from videovault.errors import SourceError
from videovault.gateways import transport
from videovault.gateways.source import RangesUnreliable, Source
from videovault.gateways.transport import (
    MAX_ORIGINS,
    RETRY_AFTER_SECONDS,
    PipelinedRequest,
    UnpipelinedOrigins,
)

SIZE = 4 * MIB
CUT = MIB
BODY = payload(SIZE)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PIPELINED_RESPONSE_SECONDS", 0.5)


@contextmanager
def pipelined_request(source: Source, url: str, number: int = 1) -> Iterator[PipelinedRequest | None]:
    """The request for part ``number``, sent during a stream that was then read to its end."""
    start = number * CUT
    with source.open(url, start=start - CUT, end=start) as stream:
        pipelined = stream.send_next(start, start + CUT)
        assert read_all(stream) == BODY[start - CUT : start]
    yield pipelined


def follow(source: Source, url: str, pipelined: PipelinedRequest | None, number: int = 1) -> bytes:
    start = number * CUT
    with source.open(url, start=start, end=start + CUT, validator='"v1"', pipelined=pipelined) as stream:
        return read_all(stream)


def part(number: int) -> bytes:
    return BODY[number * CUT : (number + 1) * CUT]


def read_in_a_row(source: Source, url: str) -> bytes:
    """The whole body; each part is requested while the previous one is read, as a reader does."""
    pipelined: PipelinedRequest | None = None
    received = b""
    for start in range(0, SIZE, CUT):
        with source.open(url, start=start, end=start + CUT, validator='"v1"', pipelined=pipelined) as stream:
            after = start + CUT
            pipelined = stream.send_next(after, after + CUT) if after < SIZE else None
            received += read_all(stream)
    return received


def test_the_next_request_arrives_before_the_response_has_ended(
    server: NaughtyServer, source: Source
) -> None:
    url = server.serve("/pipelined.mp4", Manners(size=SIZE, early="well"))
    assert read_in_a_row(source, url) == BODY
    assert server.early("/pipelined.mp4") == 3
    assert len({seen.connection for seen in server.seen("/pipelined.mp4")}) == 1


def test_a_pipelined_response_has_no_latency(server: NaughtyServer, source: Source) -> None:
    url = server.serve("/latency.mp4", Manners(size=SIZE, early="well", delay=0.05))
    with source.open(url, end=CUT) as stream:
        assert stream.latency is not None
        assert stream.latency >= 0.05
    with (
        pipelined_request(source, url) as pipelined,
        source.open(url, start=CUT, end=2 * CUT, validator='"v1"', pipelined=pipelined) as stream,
    ):
        assert stream.latency is None


@pytest.mark.parametrize(
    ("name", "manners"),
    [
        ("forgotten", Manners(size=SIZE, early="forgotten")),
        ("refused", Manners(size=SIZE, early="refused")),
        ("closed", Manners(size=SIZE, early="well", closes=True)),
    ],
)
def test_a_server_without_pipelining_costs_one_wait_and_gets_one_request_at_a_time(
    server: NaughtyServer, make_source: MakeSource, name: str, manners: Manners
) -> None:
    source, path = make_source(), f"/{name}.mp4"
    url = server.serve(path, manners)
    with suppress(SourceError) if name == "closed" else nullcontext():
        # Closing with a request unread may lose the end of the response, and the body is truncated.
        assert read_in_a_row(source, url) == BODY
    assert server.early(path) <= 1
    assert read_in_a_row(source, url) == BODY
    assert server.early(path) <= 1


def test_a_pipelined_response_with_other_bytes_is_refused(server: NaughtyServer, source: Source) -> None:
    url = server.serve("/other.mp4", Manners(size=SIZE, early="other range"))
    with pipelined_request(source, url) as pipelined, pytest.raises(RangesUnreliable):
        follow(source, url, pipelined)


def test_a_pipelined_request_for_other_bytes_is_closed_and_replaced(
    server: NaughtyServer, source: Source
) -> None:
    url = server.serve("/unfit.mp4", Manners(size=SIZE, early="well"))
    with pipelined_request(source, url) as pipelined:
        assert pipelined
        assert follow(source, url, pipelined, number=2) == part(2)
        assert pipelined._connection is None


def test_a_pipelined_request_to_another_host_is_not_used(
    server: NaughtyServer, make_source: MakeSource
) -> None:
    """A redirect may lead elsewhere the next time."""
    url = server.serve("/mine.mp4", Manners(size=SIZE, early="well"))
    with NaughtyServer() as other:
        source = make_source(allow=frozenset({f"127.0.0.1:{other.port}"}))
        elsewhere = other.serve("/mine.mp4", Manners(size=SIZE, seed=1))
        with pipelined_request(source, url) as pipelined:
            assert follow(source, elsewhere, pipelined) == payload(SIZE, 1)[CUT : 2 * CUT]
        assert len(other.seen("/mine.mp4")) == 1


@pytest.mark.parametrize("when", ["unread", "read", "stopped"])
def test_an_unused_pipelined_request_leaves_no_connection(make_source: MakeSource, when: str) -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    with NaughtyServer() as own:
        source = make_source(allow=frozenset({f"127.0.0.1:{own.port}"}))
        url = own.serve("/unused.mp4", Manners(size=SIZE, early="well"))
        with source.open(url, end=CUT) as stream:
            pipelined = stream.send_next(CUT, 2 * CUT)
            if when != "unread":
                read_all(stream)
        assert pipelined
        if when == "stopped":
            with (
                pytest.raises(Stopped),
                source.open(
                    url, start=CUT, end=2 * CUT, validator='"v1"', heartbeat=stop, pipelined=pipelined
                ),
            ):
                pass
        else:
            pipelined.close()
        eventually(lambda: own.connections == 0)


def test_nothing_is_pipelined_where_the_connection_cannot_be_reused(
    server: NaughtyServer, source: Source
) -> None:
    small = server.serve("/small.mp4", Manners(body=BODY[:5000]))
    endless = server.serve("/endless.mp4", Manners(size=SIZE, until_close=True, ranges=False))
    chunked = server.serve("/chunked.mp4", Manners(size=SIZE, chunked=True))
    ends = server.serve("/ends.mp4", Manners(size=SIZE, headers={"Connection": "close"}))
    for url in (small, endless, chunked, ends):
        with source.open(url) as stream:
            read_all(stream)
            assert stream.send_next(CUT, 2 * CUT) is None


def test_only_one_request_at_a_time_is_pipelined(server: NaughtyServer, source: Source) -> None:
    url = server.serve("/twice.mp4", Manners(size=SIZE, early="well"))
    with source.open(url, end=CUT) as stream:
        pipelined = stream.send_next(CUT, 2 * CUT)
        assert stream.send_next(2 * CUT, 3 * CUT) is None
        read_all(stream)
    assert follow(source, url, pipelined) == part(1)


def test_an_origin_is_pipelined_again_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    unpipelined, now = UnpipelinedOrigins(), time.monotonic()
    origins = [("https", f"{number}.example", 443) for number in range(MAX_ORIGINS + 1)]
    for origin in origins:
        unpipelined.add(origin)
    assert origins[0] in unpipelined
    assert origins[-1] not in unpipelined  # the memory for origins is limited
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: now + RETRY_AFTER_SECONDS + 10))
    assert origins[0] not in unpipelined
    unpipelined.add(origins[-1])
    assert origins[-1] in unpipelined
