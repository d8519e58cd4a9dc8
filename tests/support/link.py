"""A network between two programs that a test can freeze in each direction, or cut."""

import socket
from contextlib import suppress
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

CHUNK_BYTES = 64 * 1024


class Link:
    """Passes on TCP connections to ``url``'s port of 127.0.0.1, within a ``with`` block::

    with Link(cluster.settings["DATABASE_URL"]) as link:
        worker = cluster.add_worker(DATABASE_URL=link.url)
        ...
        link.freeze(to_client=False)     # what is sent to the server waits, as do new connections
        link.thaw()                      # and now arrives
        link.cut()                       # ends all connections
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.port
        self._upstream = parts.port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.url = url.replace(f":{parts.port}", f":{self.port}")
        self._to_server, self._to_client = Event(), Event()
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self.thaw()

    def __enter__(self) -> Self:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.thaw()
        self.cut()

    def freeze(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Pass on nothing in these directions; connections stay open."""
        if to_server:
            self._to_server.clear()
        if to_client:
            self._to_client.clear()

    def thaw(self) -> None:
        self._to_server.set()
        self._to_client.set()

    def cut(self) -> None:
        """End all connections that are open now."""
        with self._lock:
            still_open = list(self._open)
        for each in still_open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._to_server.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self._upstream))
        except OSError:
            client.close()
            return
        both = (client, server)
        with self._lock:
            self._open.update(both)
        for each in both:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = Thread(target=_pass_on, args=(server, client, self._to_client), daemon=True)
        back.start()
        _pass_on(client, server, self._to_server)
        back.join()
        with self._lock:
            self._open.difference_update(both)
        for each in both:
            each.close()


def _pass_on(source: socket.socket, target: socket.socket, is_open: Event) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            is_open.wait()
            target.sendall(data)
    is_open.wait()  # the end too is a packet
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
