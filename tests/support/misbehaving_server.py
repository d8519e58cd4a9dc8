"""An HTTP server on loopback whose behaviour is set for each path, and which records its requests.

with MisbehavingServer() as server:
    url = server.serve("/video.mp4", ServerBehaviour(size=1_000_000, drop_after=400_000, drop_times=1))
    ...
    assert server.bytes_sent("/video.mp4") < 1_700_000
"""

import select
import socket
import ssl
import struct
import time
from collections import Counter, defaultdict
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType

from tests.support.server_behaviour import MIB, Answer, Seen, ServerBehaviour, payload

__all__ = ["MIB", "MisbehavingServer", "Seen", "ServerBehaviour", "payload"]

NEXT_SECONDS = 0.3  # to wait for a pipelined request


class MisbehavingServer:
    """Threads on a free port of 127.0.0.1, within a ``with`` block. The behaviour of a path may change at any time."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._behaviour: dict[str, ServerBehaviour] = {}
        self._lock = Lock()
        self._sent: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._seen: defaultdict[str, list[Seen]] = defaultdict(list)
        self._connections: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._open: set[socket.socket] = set()
        self._most_open = 0
        self.closing = Event()
        self._http = _Http(self, tls)
        self._thread = Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "MisbehavingServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self.hang_up()
        self._http.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def origin(self) -> str:
        return f"{'https' if self._http.tls else 'http'}://127.0.0.1:{self.port}"

    def serve(self, path: str, behaviour: ServerBehaviour) -> str:
        """Set the behaviour of ``path`` from now on; returns its URL."""
        with self._lock:
            self._behaviour[path] = behaviour
        return self.origin + path

    def redirect(self, path: str, to: str, status: int = 302) -> str:
        return self.serve(path, ServerBehaviour(status=status, body=b"moved", headers={"Location": to}))

    def hang_up(self) -> None:
        """End all connections that are open now."""
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            _shut(connection)

    def seen(self, path: str) -> list[Seen]:
        with self._lock:
            return list(self._seen[path])

    def ranges(self, path: str) -> list[str | None]:
        """The Range headers of the requests, in order of arrival."""
        return [request.range for request in self.seen(path)]

    def early(self, path: str) -> int:
        """How many requests arrived while the previous response was still being sent on their connection."""
        return sum(request.early for request in self.seen(path))

    def bytes_sent(self, path: str) -> int:
        """Body bytes handed to the kernel, over all responses."""
        with self._lock:
            return self._sent[path]

    @property
    def most_connections(self) -> int:
        """The largest number of connections that were open at the same time."""
        with self._lock:
            return self._most_open

    @property
    def connections(self) -> int:
        with self._lock:
            return len(self._open)

    # Below: called by the handler threads.

    def note_request(self, request: Seen) -> tuple[Seen, ServerBehaviour, int]:
        """The numbered request, the behaviour for it, and how many responses its path gave before."""
        with self._lock:
            known = self._connections[request.path]
            known.setdefault(request.connection, len(known) + 1)
            request = replace(request, nth=known[request.connection])
            self._seen[request.path].append(request)
            before = self._answers[request.path]
            self._answers[request.path] += 1
            behaviour = self._behaviour.get(request.path, ServerBehaviour(status=404, body=b"no such path"))
            return request, behaviour, before

    def note_sent(self, path: str, count: int) -> None:
        with self._lock:
            self._sent[path] += count

    def note_open(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
            self._most_open = max(self._most_open, len(self._open))
        if self.closing.is_set():
            _shut(connection)

    def note_closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)


class _Http(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, owner: MisbehavingServer, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner
        self.tls = tls


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each body waits 40 ms for its head to be acknowledged
    server: _Http
    _early = False

    def setup(self) -> None:
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(
                self.request, server_side=True, do_handshake_on_connect=False
            )
        self.server.owner.note_open(self.request)
        super().setup()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the client went away, or we are closing
            self.close_connection = True

    def finish(self) -> None:
        self.server.owner.note_closed(self.request)
        try:
            super().finish()
        except OSError:
            self.close_connection = True
        if self.server.tls:
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Keep test output free of requests."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        owner = self.server.owner
        seen, behaviour, before = owner.note_request(self._seen())
        owner.closing.wait(behaviour.delay)
        if behaviour.no_answer:
            owner.closing.wait()
            self.close_connection = True
            return
        drops = behaviour.drop_times is None or before < behaviour.drop_times
        answer = Answer(behaviour, seen)
        self._early = False
        self._send_head(answer)
        self._send_body(answer, behaviour.drop_after if drops else None)
        if behaviour.early == "forgotten" and self._early:
            self.connection.recv(65536)
            self._early = False

    def _seen(self) -> Seen:
        headers = {name.lower(): value for name, value in self.headers.items()}
        wanted, if_range = headers.get("range"), headers.get("if-range")
        return Seen(self.path, wanted, if_range, headers, self.client_address[1], early=self._early)

    def _send_head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_body(self, answer: Answer, drop_after: int | None) -> None:
        behaviour, sent = answer.behaviour, 0
        for piece in answer.pieces(drop_after, behaviour.stall_after):
            started = time.monotonic()
            sent += len(piece)
            self._send_piece(piece, answer, ends=sent == answer.length)
            self.server.owner.note_sent(self.path, len(piece))
            if self.server.owner.closing.wait(answer.pause_after(len(piece), started)):
                return
        if sent == drop_after:
            self._reset()
        elif sent == behaviour.stall_after:
            self.server.owner.closing.wait()
        elif behaviour.chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = self.close_connection or answer.ends_connection

    def _send_piece(self, piece: bytes, answer: Answer, *, ends: bool) -> None:
        if ends and answer.awaits_next:
            self.wfile.write(piece[:-1])
            self._early = self._next_has_come()
            piece = piece[-1:]
        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if answer.behaviour.chunked else piece)

    def _next_has_come(self) -> bool:
        """Whether another request arrives before this response has ended; waits a moment for it."""
        readable, _, _ = select.select([self.connection], [], [], NEXT_SECONDS)
        return bool(readable and self.connection.recv(1, socket.MSG_PEEK))

    def _reset(self) -> None:
        """Close with RST, as a broken network does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server.owner.note_closed(self.connection)
        self.connection.close()
        raise ConnectionResetError


def _shut(connection: socket.socket) -> None:
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not TLS's own, another thread may be reading
    except OSError:
        return
