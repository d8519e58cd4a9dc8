"""Asking ahead: the next request is on its way before the answer before has ended, where the server can bear it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import SimpleNamespace

import pytest

from tests.gateways.conftest import MakeSource, read_all
from tests.support.misbehaving_server import MIB, Manners, NaughtyServer, payload
from tests.support.waiting import eventually
from videovault.errors import SourceError
from videovault.gateways import pipelining, transport
from videovault.gateways.pipelining import (
    MAX_ORIGINS,
    RETRY_AFTER_SECONDS,
    PipelinedRequest,
    UnpipelinedOrigins,
)
from videovault.gateways.source import RangesUnreliable, Source

SIZE = 4 * MIB
CUT = MIB
BODY = payload(SIZE)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PIPELINED_RESPONSE_SECONDS", 0.5)


@contextmanager
def asked_ahead(source: Source, url: str, number: int = 1) -> Iterator[PipelinedRequest | None]:
    """What a stream gives that was read to its end after the bytes of part ``number`` had been asked for."""
    start = number * CUT
    with source.open(url, start=start - CUT, end=start) as stream:
        ahead = stream.send_next(start, start + CUT)
        assert read_all(stream) == BODY[start - CUT : start]
    yield ahead


def follow(source: Source, url: str, ahead: PipelinedRequest | None, number: int = 1) -> bytes:
    start = number * CUT
    with source.open(url, start=start, end=start + CUT, validator='"v1"', ahead=ahead) as stream:
        return read_all(stream)


def part(number: int) -> bytes:
    return BODY[number * CUT : (number + 1) * CUT]


def read_in_a_row(source: Source, url: str) -> bytes:
    """All of it, each part asked for while the one before is read, as a lane does."""
    ahead: PipelinedRequest | None = None
    received = b""
    for start in range(0, SIZE, CUT):
        with source.open(url, start=start, end=start + CUT, validator='"v1"', ahead=ahead) as stream:
            after = start + CUT
            ahead = stream.send_next(after, after + CUT) if after < SIZE else None
            received += read_all(stream)
    return received


def test_the_next_request_is_there_before_the_answer_has_ended(server: NaughtyServer, source: Source) -> None:
    url = server.serve("/ahead.mp4", Manners(size=SIZE, early="well"))
    assert read_in_a_row(source, url) == BODY
    assert server.early("/ahead.mp4") == 3
    assert len({seen.connection for seen in server.seen("/ahead.mp4")}) == 1


def test_an_answer_that_was_asked_ahead_tells_no_latency(server: NaughtyServer, source: Source) -> None:
    url = server.serve("/latency.mp4", Manners(size=SIZE, early="well", delay=0.05))
    with source.open(url, end=CUT) as stream:
        assert stream.latency is not None
        assert stream.latency >= 0.05
    with (
        asked_ahead(source, url) as ahead,
        source.open(url, start=CUT, end=2 * CUT, validator='"v1"', ahead=ahead) as stream,
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
def test_a_server_that_cannot_bear_it_costs_one_wait_and_is_asked_one_by_one(
    server: NaughtyServer, make_source: MakeSource, name: str, manners: Manners
) -> None:
    source, path = make_source(), f"/{name}.mp4"
    url = server.serve(path, manners)
    with suppress(SourceError) if name == "closed" else nullcontext():
        # Closing with a request unread may take the end of the answer along, and the body is cut short.
        assert read_in_a_row(source, url) == BODY
    assert server.early(path) <= 1
    assert read_in_a_row(source, url) == BODY
    assert server.early(path) <= 1


def test_other_bytes_than_those_asked_ahead_are_refused(server: NaughtyServer, source: Source) -> None:
    url = server.serve("/other.mp4", Manners(size=SIZE, early="other range"))
    with asked_ahead(source, url) as ahead, pytest.raises(RangesUnreliable):
        follow(source, url, ahead)


def test_one_that_was_for_other_bytes_is_closed_and_these_are_asked_for(
    server: NaughtyServer, source: Source
) -> None:
    url = server.serve("/unfit.mp4", Manners(size=SIZE, early="well"))
    with asked_ahead(source, url) as ahead:
        assert ahead
        assert follow(source, url, ahead, number=2) == part(2)
        assert ahead._wire is None


def test_one_for_another_host_is_not_taken_for_this_one(
    server: NaughtyServer, make_source: MakeSource
) -> None:
    """An address that leads on may lead elsewhere the next time."""
    url = server.serve("/mine.mp4", Manners(size=SIZE, early="well"))
    with NaughtyServer() as other:
        source = make_source(allow=frozenset({f"127.0.0.1:{other.port}"}))
        elsewhere = other.serve("/mine.mp4", Manners(size=SIZE, seed=1))
        with asked_ahead(source, url) as ahead:
            assert follow(source, elsewhere, ahead) == payload(SIZE, 1)[CUT : 2 * CUT]
        assert len(other.seen("/mine.mp4")) == 1


@pytest.mark.parametrize("when", ["unread", "read", "stopped"])
def test_one_that_is_never_used_leaves_no_connection(make_source: MakeSource, when: str) -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    with NaughtyServer() as own:
        source = make_source(allow=frozenset({f"127.0.0.1:{own.port}"}))
        url = own.serve("/unused.mp4", Manners(size=SIZE, early="well"))
        with source.open(url, end=CUT) as stream:
            ahead = stream.send_next(CUT, 2 * CUT)
            if when != "unread":
                read_all(stream)
        assert ahead
        if when == "stopped":
            with (
                pytest.raises(Stopped),
                source.open(url, start=CUT, end=2 * CUT, validator='"v1"', heartbeat=stop, ahead=ahead),
            ):
                pass
        else:
            ahead.close()
        eventually(lambda: own.connections == 0)


def test_nothing_is_asked_ahead_where_it_could_not_be_answered(server: NaughtyServer, source: Source) -> None:
    small = server.serve("/small.mp4", Manners(body=BODY[:5000]))
    endless = server.serve("/endless.mp4", Manners(size=SIZE, until_close=True, ranges=False))
    chunked = server.serve("/chunked.mp4", Manners(size=SIZE, chunked=True))
    ends = server.serve("/ends.mp4", Manners(size=SIZE, headers={"Connection": "close"}))
    for url in (small, endless, chunked, ends):
        with source.open(url) as stream:
            read_all(stream)
            assert stream.send_next(CUT, 2 * CUT) is None


def test_only_one_request_at_a_time_is_sent_ahead(server: NaughtyServer, source: Source) -> None:
    url = server.serve("/twice.mp4", Manners(size=SIZE, early="well"))
    with source.open(url, end=CUT) as stream:
        ahead = stream.send_next(CUT, 2 * CUT)
        assert stream.send_next(2 * CUT, 3 * CUT) is None
        read_all(stream)
    assert follow(source, url, ahead) == part(1)


def test_an_origin_is_given_another_chance_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one, now = UnpipelinedOrigins(), time.monotonic()
    origins = [("https", f"{number}.example", 443) for number in range(MAX_ORIGINS + 1)]
    for origin in origins:
        one_by_one.add(origin)
    assert origins[0] in one_by_one
    assert origins[-1] not in one_by_one  # no more are remembered, whoever may be behind them
    monkeypatch.setattr(pipelining, "time", SimpleNamespace(monotonic=lambda: now + RETRY_AFTER_SECONDS + 10))
    assert origins[0] not in one_by_one
    one_by_one.add(origins[-1])
    assert origins[-1] in one_by_one
