"""A TCP proxy that can freeze: it keeps and accepts connections and passes nothing on, as a broken network does.

Neither end notices: its packets are acknowledged, so that TCP keepalives do not help.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread

CHUNK = 65536


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, upstream: tuple[str, int], passing: Event) -> None:
        self._client, self._upstream, self.passing = client, upstream, passing
        self._server: socket.socket | None = None
        self.is_closed = False

    def wait(self) -> None:
        """Until it may pass something on."""
        while not (passing := self.passing).is_set() or passing is not self.passing:
            passing.wait()

    def run(self) -> None:
        self.wait()
        if self.is_closed:
            return
        with suppress(OSError):
            self._server = socket.create_connection(self._upstream)
            back = Thread(target=self._pump, args=(self._server, self._client), daemon=True)
            back.start()
            self._pump(self._client, self._server)
            back.join()

    def close(self) -> None:
        self.is_closed = True
        self.passing.set()
        for each in (self._client, self._server):
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                self.wait()
                target.sendall(data)
            self.wait()  # the end of a connection is passed on no earlier than its data
            target.shutdown(socket.SHUT_WR)


class FrozenProxy:
    """Passes connections to ``upstream`` on ``port`` until it is frozen."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._passing = Event()
        self._passing.set()
        self._links: list[_Link] = []
        self._lock = Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        """Pass nothing on, neither on open connections nor on new ones, which are accepted."""
        self._passing.clear()

    def thaw(self) -> None:
        """Pass on what has been kept back, and everything from now on."""
        self._passing.set()

    def abandon(self) -> None:
        """Work again for new connections only: those that are open stay frozen, as after the restart of a router."""
        with self._lock:
            frozen = Event()
            for link in self._links:
                link.passing = frozen
            released, self._passing = self._passing, Event()
            self._passing.set()
            released.set()  # threads that wait for it look at their link's own event again

    def close(self) -> None:
        self._listener.close()
        for link in self._links:
            link.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    link = _Link(client, self._upstream, self._passing)
                    self._links.append(link)
                Thread(target=link.run, daemon=True).start()


@contextmanager
def frozen_proxy(upstream: tuple[str, int]) -> Iterator[FrozenProxy]:
    """A proxy that passes everything on until the block freezes it."""
    proxy = FrozenProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
