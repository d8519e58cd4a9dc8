"""Answers framed as servers really frame them, against the letter of HTTP: the bytes arrive all the same."""

import socket
from collections.abc import Iterator
from threading import Thread

import pytest

from tests.gateways.conftest import MakeSource, read_all
from tests.support.server_behaviour import payload

BODY = payload(5000)
LENGTH = b"Content-Length: 5000\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"1388;a=b\r\n" + BODY + b"\r\n0\r\nX-Trailer: 1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
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


class Teller:
    """Sends ``answer`` on each connection."""

    answer = b""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = Thread(target=self._tell, daemon=True)
        self._thread.start()

    def _tell(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self.answer)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture(scope="module")
def teller() -> Iterator[Teller]:
    running = Teller()
    yield running
    running.close()


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_the_bytes_arrive(teller: Teller, make_source: MakeSource, answer: bytes) -> None:
    teller.answer = answer
    source = make_source(allow=frozenset({f"127.0.0.1:{teller.port}"}))
    with source.open(f"http://127.0.0.1:{teller.port}/v.mp4") as stream:
        assert read_all(stream) == BODY
