"""Minimal HTTP/1.1 for the servers: heads are parsed, bodies discarded, each connection has a thread."""

import argparse
import json
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

MIB = 1024**2
HEAD_BYTES = 64 * 1024
DISCARD_BYTES = 16 * MIB
# The kernel discards received data instead of copying it, at almost no cost.
DROP = socket.MSG_TRUNC
NAMES = {200: "OK", 204: "No Content", 206: "Partial Content", 404: "Not Found", 416: "Range Not Satisfiable"}


class ConnectionClosed(Exception):
    """The client closed its connection."""


@dataclass(frozen=True)
class Request:
    """``headers`` by lower-case name; ``query`` has the first value of each name, "" if it has none."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


class Connection:
    """One client's connection, one request after another."""

    def __init__(self, sock: socket.socket, discard_buffer: memoryview) -> None:
        self.sock = sock
        self.encrypted = isinstance(sock, ssl.SSLSocket)
        self._received = bytearray()
        self._discard_buffer = discard_buffer

    def request(self) -> Request:
        """The next request, without its body. Raises ConnectionClosed."""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        if headers.get("expect", "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Request(method, unquote(url.path), query, headers)

    def discard_body(self, request: Request) -> int:
        """Discard the body; returns its length in bytes, without chunk framing."""
        if request.headers.get("transfer-encoding", "").lower() == "chunked":
            return self._discard_chunks()
        return self._discard(int(request.headers.get("content-length", "0")))

    def read_body(self, request: Request) -> bytes:
        """A small body with a Content-Length."""
        length = int(request.headers.get("content-length", "0"))
        while len(self._received) < length:
            self._receive()
        return self._take(length)

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a response; a Content-Length in ``headers`` has precedence over the body's."""
        lines = {"Content-Length": str(len(body)), **headers}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.sock.sendall(f"HTTP/1.1 {status} {NAMES[status]}\r\n{text}\r\n".encode("latin-1") + body)

    def _discard_chunks(self) -> int:
        total = 0
        while size := int(self._until(b"\r\n").split(b";")[0], 16):
            total += self._discard(size)
            self._until(b"\r\n")
        while self._until(b"\r\n"):  # trailers
            pass
        return total

    def _discard(self, length: int) -> int:
        buffered = min(length, len(self._received))
        del self._received[:buffered]
        left = length - buffered
        while left:
            most = min(left, len(self._discard_buffer))
            # TLS has to be decrypted and does not support flags.
            count = self.sock.recv_into(self._discard_buffer, most, 0 if self.encrypted else DROP)
            if not count:
                raise ConnectionClosed
            left -= count
        return length

    def _until(self, mark: bytes) -> bytes:
        """The data before ``mark``, which is consumed too."""
        while (at := self._received.find(mark)) < 0:
            self._receive()
        return self._take(at + len(mark))[:at]

    def _take(self, length: int) -> bytes:
        taken = bytes(self._received[:length])
        del self._received[:length]
        return taken

    def _receive(self) -> None:
        data = self.sock.recv(HEAD_BYTES)
        if not data:
            raise ConnectionClosed
        self._received += data


Handler = Callable[[Connection, Request], None]


def serve(host: str, port: int, certificate: str, handle: Handler) -> None:
    """Serve on ``host`` until the process is ended; prints the URL once connections are accepted."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    with socket.create_server((host, port), backlog=256) as listener:
        scheme = "https" if context else "http"
        report({"url": f"{scheme}://{host}:{listener.getsockname()[1]}"})
        while True:
            sock, _ = listener.accept()
            Thread(target=_serve_connection, args=(sock, context, handle), daemon=True).start()


def report(fact: Mapping[str, object]) -> None:
    """Report to the parent process, by a line of JSON on standard output."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def options(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", default="", help="a PEM file with certificate and key")
    return parser


def _serve_connection(sock: socket.socket, context: ssl.SSLContext | None, handle: Handler) -> None:
    with suppress(ConnectionClosed, OSError), sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secured = context.wrap_socket(sock, server_side=True) if context else sock
        with secured:
            connection = Connection(secured, memoryview(bytearray(DISCARD_BYTES)))
            while True:
                handle(connection, connection.request())
