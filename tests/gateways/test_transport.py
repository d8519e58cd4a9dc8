"""Connections: to the checked address, with the requested name, and reused."""

import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread

import pytest

from tests.gateways.conftest import MakeSource, failure_of, read_all
from tests.support.certificates import Certificates, certificates
from tests.support.misbehaving_server import MIB, Manners, NaughtyServer, payload
from tests.support.waiting import eventually
from videovault.gateways.source import Source, SourcePolicy

NAME = "video.example"


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
def tls_server(trust: Certificates) -> Iterator[NaughtyServer]:
    with NaughtyServer(trust.server) as running:
        yield running


@pytest.fixture
def open_tls(tls_server: NaughtyServer) -> Iterator[Callable[..., Source]]:
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
    server: NaughtyServer, make_source: MakeSource
) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    source = make_source(allow=frozenset({f"{NAME}:{server.port}"}), inject={"resolver": names})
    server.serve("/pinned.mp4", Manners(size=5000))
    with source.open(f"http://{NAME}:{server.port}/pinned.mp4") as stream:
        assert read_all(stream) == payload(5000)
    assert names.asked == 1
    assert server.seen("/pinned.mp4")[0].headers["host"] == f"{NAME}:{server.port}"


def test_the_next_address_is_tried_when_one_refuses(server: NaughtyServer, make_source: MakeSource) -> None:
    names = Names(["127.0.0.2", "127.0.0.1"])
    source = make_source(allow=frozenset({NAME}), inject={"resolver": names})
    server.serve("/second.mp4", Manners(size=5000))
    with source.open(f"http://{NAME}:{server.port}/second.mp4") as stream:
        assert read_all(stream) == payload(5000)


def test_tls_verifies_the_name_while_connecting_to_the_address(
    tls_server: NaughtyServer, trust: Certificates, open_tls: Callable[..., Source]
) -> None:
    server_names: list[str | None] = []
    trust.server.sni_callback = lambda _socket, name, _context: server_names.append(name)
    tls_server.serve("/tls.mp4", Manners(size=3 * MIB))
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
    tls_server: NaughtyServer, trust: Certificates, open_tls: Callable[..., Source], known: bool
) -> None:
    context = trust.client if known else ssl.create_default_context()
    name = "other.example" if known else NAME
    failure = failure_of(open_tls(context, name), f"https://{name}:{tls_server.port}/tls.mp4")
    assert "cannot prove who it is" in failure.public_message
    assert not failure.retryable


def test_a_tls_body_without_close_notify_is_incomplete(
    tls_server: NaughtyServer, trust: Certificates, open_tls: Callable[..., Source]
) -> None:
    tls_server.serve("/ragged.mp4", Manners(size=MIB, until_close=True))
    failure = failure_of(open_tls(trust.client, NAME), f"https://{NAME}:{tls_server.port}/ragged.mp4")
    assert "before the end" in failure.public_message


def test_surplus_bytes_of_a_tls_body_do_not_reach_the_next_response(
    tls_server: NaughtyServer, trust: Certificates, open_tls: Callable[..., Source]
) -> None:
    # 2,000 surplus bytes in the same TLS record as the last valid ones: only OpenSSL has them.
    surplus = Manners(body=payload(300_000), headers={"Content-Length": "298000"})
    tls_server.serve("/surplus.mp4", surplus)
    source = open_tls(trust.client, NAME)
    for _ in range(2):
        with source.open(f"https://{NAME}:{tls_server.port}/surplus.mp4") as stream:
            assert read_all(stream) == payload(300_000)[:298_000]


def test_plain_http_on_a_tls_port_is_refused(server: NaughtyServer, source: Source) -> None:
    failure = failure_of(source, f"https://127.0.0.1:{server.port}/")
    assert "cannot prove who it is" in failure.public_message


def test_a_connection_is_reused_only_after_a_whole_body(server: NaughtyServer, source: Source) -> None:
    url = server.serve("/again.mp4", Manners(size=4 * MIB))
    for whole in (True, True, False, True):
        with source.open(url) as stream:
            if whole:
                read_all(stream)
    one, two, three, four = [seen.connection for seen in server.seen("/again.mp4")]
    assert one == two == three != four


@pytest.mark.parametrize("header", ["close", "Keep-Alive, Close"])
def test_a_connection_with_connection_close_is_not_reused(
    server: NaughtyServer, source: Source, header: str
) -> None:
    url = server.serve(f"/once/{len(header)}", Manners(size=5000, headers={"Connection": header}))
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
    with NaughtyServer() as own:
        source = make_source(allow=frozenset({f"127.0.0.1:{own.port}"}))
        with source.open(own.serve("/idle.mp4", Manners(size=5000))) as stream:
            read_all(stream)
        assert own.connections == 1
        source.close()
        eventually(lambda: own.connections == 0)


def test_ssl_cert_file_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installations with a company's certificate authority set SSL_CERT_FILE."""
    trusted = certificates(tmp_path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    with NaughtyServer(trusted.server) as own:
        own.serve("/v.mp4", Manners(size=5000))
        policy = SourcePolicy(max_bytes=MIB, allow=frozenset({NAME}))
        source = Source(policy, resolver=Names(["127.0.0.1"]))
        with source.open(f"https://{NAME}:{own.port}/v.mp4") as stream:
            assert read_all(stream) == payload(5000)
        source.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports round trips")
def test_a_round_trip_does_not_include_the_servers_delay(
    server: NaughtyServer, make_source: MakeSource
) -> None:
    url = server.serve("/slow-to-answer.mp4", Manners(size=5000, delay=0.1))
    with make_source(allow=frozenset({f"127.0.0.1:{server.port}"})).open(url) as stream:
        assert stream.latency is not None
        assert stream.latency >= 0.1
        assert stream.round_trip is not None
        assert 0 < stream.round_trip < 0.05
