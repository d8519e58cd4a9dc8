"""Our reading of HTTP responses: odd framing of real servers, and any bytes, compared with h11 on the same bytes.

h11 parses the heads for us; which bytes belong to a body of known length, how they reach the caller, and whether the
connection may be reused is our own code.
"""

import socket
from collections.abc import Iterator
from threading import Thread

import h11
import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.gateways.conftest import MakeSource, read_all
from tests.support.server_behaviour import payload
from videovault.gateways.http_exchange import HEAD_BYTES, Exchange, ResponseBody
from videovault.gateways.socket_stream import SocketStream, Timeout

BODY = payload(5000)
LENGTH = b"Content-Length: 5000\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"1388;a=b\r\n" + BODY + b"\r\n0\r\nX-Trailer: 1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
RESPONSES = {
    "a length beside chunks, and another one": OK + b"Content-Length: 17\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    "a coding in capitals": OK + b"Transfer-Encoding: Chunked\r\n\r\n" + CHUNKS,
    "no length, ended by the connection": OK + b"\r\n" + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "no reason": b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n" + BODY,
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + LENGTH + b"\r\n" + BODY,
    "lines without a carriage return": b"HTTP/1.1 200 OK\nContent-Length: 5000\n\n" + BODY,
    "the length twice": OK + LENGTH + LENGTH + b"\r\n" + BODY,
    "the length twice in one": OK + b"Content-Length: 5000, 5000\r\n\r\n" + BODY,
    "a folded header": OK + b"X-Long: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "a header in Latin-1": OK + b"X-Name: \xe4\r\n" + LENGTH + b"\r\n" + BODY,
    "the type of a web page": OK + b"Content-Type: text/html\r\n" + LENGTH + b"\r\n" + BODY,
    "a weak ETag and a date only": OK + b'ETag: W/"1"\r\nLast-Modified: x\r\n' + LENGTH + b"\r\n" + BODY,
    "more than its length": OK + LENGTH + b"\r\n" + BODY + b"and more",
}


class FixedServer:
    """Sends ``response`` on each connection."""

    response = b""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self.response)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture(scope="module")
def fixed_server() -> Iterator[FixedServer]:
    running = FixedServer()
    yield running
    running.close()


@pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES)
def test_the_bytes_arrive_however_they_are_framed(
    fixed_server: FixedServer, make_source: MakeSource, response: bytes
) -> None:
    fixed_server.response = response
    source = make_source(allow=frozenset({f"127.0.0.1:{fixed_server.port}"}))
    with source.open(f"http://127.0.0.1:{fixed_server.port}/v.mp4") as stream:
        assert read_all(stream) == BODY


class Outcome:
    """What a parser made of a response; ``body`` is what it returned before its end or its error."""

    def __init__(self) -> None:
        self.head: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self.body = b""
        self.is_complete = False
        self.is_reusable = False


REQUEST = h11.Request(method="GET", target="/v.mp4", headers=[("Host", "video.example")])


def read_by_h11(data: bytes) -> Outcome:
    outcome, parser = Outcome(), h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
    parser.send(REQUEST)
    parser.send(h11.EndOfMessage())
    parser.receive_data(data)
    has_ended = False
    try:
        while not outcome.is_complete:
            event = parser.next_event()
            if isinstance(event, h11.Response):
                outcome.head = (event.status_code, list(event.headers))
            elif isinstance(event, h11.Data):
                outcome.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                outcome.is_complete = True
            elif event is h11.NEED_DATA and not has_ended:
                has_ended = True
                parser.receive_data(b"")
            elif not isinstance(event, h11.InformationalResponse):
                break
    except h11.RemoteProtocolError:
        return outcome
    outcome.is_reusable = outcome.is_complete and parser.their_state is h11.DONE
    return outcome


def read_by_us(data: bytes, buffer_bytes: int) -> Outcome:
    outcome = Outcome()
    released: list[bool] = []
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        ours.setblocking(False)
        stream = SocketStream(ours)
        try:
            exchange = Exchange(stream, REQUEST, Timeout(5.0, lambda: None))
            head = exchange.request()
            outcome.head = (head.status_code, list(head.headers))
            body = exchange.body(head, released.append)
            try:
                outcome.body = _read(body, outcome, buffer_bytes)
            finally:
                body.close()
            outcome.is_reusable = released == [True]
        except httpx.TransportError:
            pass
        finally:
            stream.close()
    return outcome


def _read(body: ResponseBody, outcome: Outcome, buffer_bytes: int) -> bytes:
    buffer = memoryview(bytearray(buffer_bytes))
    try:
        while (count := body.pull(buffer)) != 0:
            outcome.body += bytes(buffer[: count or 0])
        outcome.is_complete = True
    except httpx.TransportError:
        pass
    return outcome.body


def _chunked(pieces: list[bytes], *, end: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece) + end


line_ends = st.sampled_from([b"\r\n", b"\n", b"\r\n "])
statuses = st.sampled_from(
    [b"200 OK", b"206 Partial Content", b"200", b"204 No Content", b"304 x", b"500 x", b"99 x"]
)
versions = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2", b"http/1.1"])
bodies = st.one_of(
    st.binary(max_size=300),
    st.builds(
        _chunked,
        st.lists(st.binary(max_size=60), max_size=5),
        end=st.sampled_from([b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"0\r\n", b"", b"-1\r\n\r\n"]),
    ),
)
headers = st.one_of(
    st.builds(lambda length: b"Content-Length: %d" % length, st.integers(0, 320)),
    st.sampled_from(
        [
            b"Content-Length: -5",
            b"Content-Length: +5",
            b"Content-Length: 5, 5",
            b"Content-Length: 5, 6",
            b"Content-Length: 0x10",
            b"Content-Length: 1_0",
            b"Content-Length:",
            b"Content-Length : 5",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: Chunked",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: identity",
            b"Connection: close",
            b"Connection: Keep-Alive, Close",
            b"X: \xe4",
            b"X: \x00",
            b"no colon",
        ]
    ),
    st.binary(max_size=20),
)


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A response as a server may send it, right or wrong, perhaps with changed bytes."""
    end = draw(line_ends)
    early = draw(st.sampled_from([b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]))
    head = [draw(versions) + b" " + draw(statuses), *draw(st.lists(headers, max_size=4))]
    data = bytearray(early + end.join(head) + b"\r\n\r\n" + draw(bodies))
    for _ in range(draw(st.integers(0, 2))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


@given(responses(), st.integers(1, 400))
@example(b"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n", 1)
def test_any_response_is_read_as_h11_reads_it(data: bytes, buffer_bytes: int) -> None:
    ours, theirs = read_by_us(data, buffer_bytes), read_by_h11(data)
    assert ours.head == theirs.head
    assert ours.is_complete == theirs.is_complete
    assert ours.body == theirs.body
    # We reuse fewer connections than h11 would, never more: surplus bytes would become the next response.
    assert theirs.is_reusable or not ours.is_reusable
