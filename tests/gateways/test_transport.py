"""Connections: to the checked address, with the requested name, reused, and with requests sent ahead."""

import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from tests.gateways.conftest import MakeSource, failure_of, read_all
from tests.support.certificates import Certificates, certificates
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from tests.support.waiting import eventually
from videovault.errors import SourceError
from videovault.gateways import transport
from videovault.gateways.source import RangesUnreliable, Source, SourcePolicy
from videovault.gateways.transport import (
    MAX_UNPIPELINED,
    UNPIPELINED_SECONDS,
    PipelinedRequest,
    UnpipelinedOrigins,
)

NAME = "video.example"
SIZE = 4 * MIB
CUT = MIB
BODY = payload(SIZE)


class Names:
    """A resolver that returns another address each time, and counts the lookups."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.asked = 0
        self._answers = answers

    def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        return self._answers[min(self.asked, len(self._answers)) - 1]


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"), NAME)


@pytest.fixture(scope="module")
def tls_server(trust: Certificates) -> Iterator[MisbehavingServer]:
    with MisbehavingServer(trust.server) as running:
        yield running


@pytest.fixture
def open_tls(tls_server: MisbehavingServer) -> Iterator[Callable[..., Source]]:
    made: list[Source] = []

    def make(context: ssl.SSLContext, *names: str) -> Source:
        allow = frozenset(f"{name}:{tls_server.port}" for name in names)
        policy = SourcePolicy(max_bytes=1024**3, idle_seconds=5, allow=allow)
        made.append(Source(policy, resolver=Names(["127.0.0.1"]), ssl_context=context))
        return made[-1]

    yield make
    for source in made:
        source.close()


def test_a_name_is_resolved_once_and_its_first_address_is_used(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    source = make_source(allow=frozenset({f"{NAME}:{server.port}"}), inject={"resolver": names})
    server.serve("/pinned.mp4", ServerBehaviour(size=5000))
    with source.open(f"http://{NAME}:{server.port}/pinned.mp4") as stream:
        assert read_all(stream) == payload(5000)
    assert names.asked == 1
    assert server.seen("/pinned.mp4")[0].headers["host"] == f"{NAME}:{server.port}"


def test_the_next_address_is_tried_when_one_refuses(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    names = Names(["127.0.0.2", "127.0.0.1"])
    source = make_source(allow=frozenset({NAME}), inject={"resolver": names})
    server.serve("/second.mp4", ServerBehaviour(size=5000))
    with source.open(f"http://{NAME}:{server.port}/second.mp4") as stream:
        assert read_all(stream) == payload(5000)


def test_tls_verifies_the_name_while_connecting_to_the_address(
    tls_server: MisbehavingServer, trust: Certificates, open_tls: Callable[..., Source]
) -> None:
    server_names: list[str | None] = []
    trust.server.sni_callback = lambda _socket, name, _context: server_names.append(name)
    tls_server.serve("/tls.mp4", ServerBehaviour(size=3 * MIB))
    url = f"https://{NAME}:{tls_server.port}/tls.mp4"
    source = open_tls(trust.client, NAME)
    with source.open(url) as stream:
        assert read_all(stream) == payload(3 * MIB)
    with source.open(url, start=MIB, end=2 * MIB) as stream:
        assert read_all(stream) == payload(3 * MIB)[MIB : 2 * MIB]
    assert server_names == [NAME]
    first, second = tls_server.seen("/tls.mp4")
    assert first.headers["host"] == f"{NAME}:{tls_server.port}"
    assert first.connection == second.connection


@pytest.mark.parametrize("known", [True, False])
def test_an_invalid_certificate_is_refused(
    tls_server: MisbehavingServer, trust: Certificates, open_tls: Callable[..., Source], known: bool
) -> None:
    context = trust.client if known else ssl.create_default_context()
    name = "other.example" if known else NAME
    failure = failure_of(open_tls(context, name), f"https://{name}:{tls_server.port}/tls.mp4")
    assert "cannot prove who it is" in failure.public_message
    assert not failure.retryable


def test_a_tls_body_without_close_notify_is_incomplete(
    tls_server: MisbehavingServer, trust: Certificates, open_tls: Callable[..., Source]
) -> None:
    tls_server.serve("/ragged.mp4", ServerBehaviour(size=MIB, until_close=True))
    failure = failure_of(open_tls(trust.client, NAME), f"https://{NAME}:{tls_server.port}/ragged.mp4")
    assert "before the end" in failure.public_message


def test_surplus_bytes_of_a_tls_body_do_not_reach_the_next_response(
    tls_server: MisbehavingServer, trust: Certificates, open_tls: Callable[..., Source]
) -> None:
    # 2,000 surplus bytes in the same TLS record as the last valid ones: only OpenSSL has them.
    surplus = ServerBehaviour(body=payload(300_000), headers={"Content-Length": "298000"})
    tls_server.serve("/surplus.mp4", surplus)
    source = open_tls(trust.client, NAME)
    for _ in range(2):
        with source.open(f"https://{NAME}:{tls_server.port}/surplus.mp4") as stream:
            assert read_all(stream) == payload(300_000)[:298_000]


def test_plain_http_on_a_tls_port_is_refused(server: MisbehavingServer, source: Source) -> None:
    failure = failure_of(source, f"https://127.0.0.1:{server.port}/")
    assert "cannot prove who it is" in failure.public_message


def test_a_connection_is_reused_only_after_a_whole_body(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/again.mp4", ServerBehaviour(size=4 * MIB))
    for whole in (True, True, False, True):
        with source.open(url) as stream:
            if whole:
                read_all(stream)
    one, two, three, four = [seen.connection for seen in server.seen("/again.mp4")]
    assert one == two == three != four


@pytest.mark.parametrize("header", ["close", "Keep-Alive, Close"])
def test_a_connection_with_connection_close_is_not_reused(
    server: MisbehavingServer, source: Source, header: str
) -> None:
    url = server.serve(f"/once/{len(header)}", ServerBehaviour(size=5000, headers={"Connection": header}))
    for _ in range(2):
        with source.open(url) as stream:
            read_all(stream)
    one, two = [seen.connection for seen in server.seen(f"/once/{len(header)}")]
    assert one != two


def test_a_request_on_a_closing_connection_is_retried(make_source: MakeSource) -> None:
    """The server closes the persistent connection when the second request arrives."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serving = Thread(target=_answer_once_per_connection, args=(listener, 2), daemon=True)
        serving.start()
        source = make_source(allow=frozenset({f"127.0.0.1:{port}"}))
        for _ in range(2):
            with source.open(f"http://127.0.0.1:{port}/v.mp4") as stream:
                assert read_all(stream) == payload(5000)
        source.close()
        serving.join()


def _answer_once_per_connection(listener: socket.socket, connections: int) -> None:
    for _ in range(connections):
        caller, _ = listener.accept()
        with caller:
            caller.recv(65536)
            caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + payload(5000))
            caller.recv(65536)


def test_closing_a_source_closes_its_idle_connections(make_source: MakeSource) -> None:
    with MisbehavingServer() as own:
        source = make_source(allow=frozenset({f"127.0.0.1:{own.port}"}))
        with source.open(own.serve("/idle.mp4", ServerBehaviour(size=5000))) as stream:
            read_all(stream)
        assert own.connections == 1
        source.close()
        eventually(lambda: own.connections == 0)


def test_ssl_cert_file_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installations with a company's certificate authority set SSL_CERT_FILE."""
    trusted = certificates(tmp_path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    with MisbehavingServer(trusted.server) as own:
        own.serve("/v.mp4", ServerBehaviour(size=5000))
        policy = SourcePolicy(max_bytes=MIB, allow=frozenset({NAME}))
        source = Source(policy, resolver=Names(["127.0.0.1"]))
        with source.open(f"https://{NAME}:{own.port}/v.mp4") as stream:
            assert read_all(stream) == payload(5000)
        source.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports round trips")
def test_a_round_trip_does_not_include_the_servers_delay(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    url = server.serve("/slow-to-answer.mp4", ServerBehaviour(size=5000, delay=0.1))
    with make_source(allow=frozenset({f"127.0.0.1:{server.port}"})).open(url) as stream:
        assert stream.latency is not None
        assert stream.latency >= 0.1
        assert stream.round_trip is not None
        assert 0 < stream.round_trip < 0.05


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
    server: MisbehavingServer, source: Source
) -> None:
    url = server.serve("/pipelined.mp4", ServerBehaviour(size=SIZE, early="well"))
    assert read_in_a_row(source, url) == BODY
    assert server.early("/pipelined.mp4") == 3
    assert len({seen.connection for seen in server.seen("/pipelined.mp4")}) == 1


def test_a_pipelined_response_has_no_latency(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/latency.mp4", ServerBehaviour(size=SIZE, early="well", delay=0.05))
    with source.open(url, end=CUT) as stream:
        assert stream.latency is not None
        assert stream.latency >= 0.05
    with (
        pipelined_request(source, url) as pipelined,
        source.open(url, start=CUT, end=2 * CUT, validator='"v1"', pipelined=pipelined) as stream,
    ):
        assert stream.latency is None


@pytest.mark.parametrize(
    ("name", "behaviour"),
    [
        ("forgotten", ServerBehaviour(size=SIZE, early="forgotten")),
        ("refused", ServerBehaviour(size=SIZE, early="refused")),
        ("closed", ServerBehaviour(size=SIZE, early="well", closes=True)),
    ],
)
def test_a_server_without_pipelining_costs_one_wait_and_gets_one_request_at_a_time(
    server: MisbehavingServer, make_source: MakeSource, name: str, behaviour: ServerBehaviour
) -> None:
    source, path = make_source(), f"/{name}.mp4"
    url = server.serve(path, behaviour)
    with suppress(SourceError) if name == "closed" else nullcontext():
        # Closing with a request unread may lose the end of the response, and the body is truncated.
        assert read_in_a_row(source, url) == BODY
    assert server.early(path) <= 1
    assert read_in_a_row(source, url) == BODY
    assert server.early(path) <= 1


def test_a_pipelined_response_with_other_bytes_is_refused(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/other.mp4", ServerBehaviour(size=SIZE, early="other range"))
    with pipelined_request(source, url) as pipelined, pytest.raises(RangesUnreliable):
        follow(source, url, pipelined)


def test_a_pipelined_request_for_other_bytes_is_closed_and_replaced(
    server: MisbehavingServer, source: Source
) -> None:
    url = server.serve("/unfit.mp4", ServerBehaviour(size=SIZE, early="well"))
    with pipelined_request(source, url) as pipelined:
        assert pipelined
        assert follow(source, url, pipelined, number=2) == part(2)
        assert pipelined._connection is None


def test_a_pipelined_request_to_another_host_is_not_used(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    """A redirect may lead elsewhere the next time."""
    url = server.serve("/mine.mp4", ServerBehaviour(size=SIZE, early="well"))
    with MisbehavingServer() as other:
        source = make_source(allow=frozenset({f"127.0.0.1:{other.port}"}))
        elsewhere = other.serve("/mine.mp4", ServerBehaviour(size=SIZE, seed=1))
        with pipelined_request(source, url) as pipelined:
            assert follow(source, elsewhere, pipelined) == payload(SIZE, 1)[CUT : 2 * CUT]
        assert len(other.seen("/mine.mp4")) == 1


@pytest.mark.parametrize("when", ["unread", "read", "stopped"])
def test_an_unused_pipelined_request_leaves_no_connection(make_source: MakeSource, when: str) -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    with MisbehavingServer() as own:
        source = make_source(allow=frozenset({f"127.0.0.1:{own.port}"}))
        url = own.serve("/unused.mp4", ServerBehaviour(size=SIZE, early="well"))
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
    server: MisbehavingServer, source: Source
) -> None:
    small = server.serve("/small.mp4", ServerBehaviour(body=BODY[:5000]))
    endless = server.serve("/endless.mp4", ServerBehaviour(size=SIZE, until_close=True, ranges=False))
    chunked = server.serve("/chunked.mp4", ServerBehaviour(size=SIZE, chunked=True))
    ends = server.serve("/ends.mp4", ServerBehaviour(size=SIZE, headers={"Connection": "close"}))
    for url in (small, endless, chunked, ends):
        with source.open(url) as stream:
            read_all(stream)
            assert stream.send_next(CUT, 2 * CUT) is None


def test_only_one_request_at_a_time_is_pipelined(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/twice.mp4", ServerBehaviour(size=SIZE, early="well"))
    with source.open(url, end=CUT) as stream:
        pipelined = stream.send_next(CUT, 2 * CUT)
        assert stream.send_next(2 * CUT, 3 * CUT) is None
        read_all(stream)
    assert follow(source, url, pipelined) == part(1)


def test_an_origin_is_pipelined_again_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    unpipelined, now = UnpipelinedOrigins(), time.monotonic()
    origins = [("https", f"{number}.example", 443) for number in range(MAX_UNPIPELINED + 1)]
    for origin in origins:
        unpipelined.add(origin)
    assert origins[0] in unpipelined
    assert origins[-1] not in unpipelined  # the memory for origins is limited
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: now + UNPIPELINED_SECONDS + 10))
    assert origins[0] not in unpipelined
    unpipelined.add(origins[-1])
    assert origins[-1] in unpipelined
