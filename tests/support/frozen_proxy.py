"""A TCP proxy that can freeze in each direction: it keeps and accepts connections and passes nothing on, as a broken network does.

Neither end notices: its packets are acknowledged, so that TCP keepalives do not help::

    with frozen_proxy_for(cluster.settings["DATABASE_URL"]) as (proxy, url):
        worker = cluster.add_worker(DATABASE_URL=url)
        ...
        proxy.freeze(to_client=False)    # what is sent to the server waits, as do new connections
        proxy.thaw()                     # and now arrives
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

CHUNK_BYTES = 64 * 1024


@dataclass
class _Gates:
    """Set: this direction passes everything on."""

    to_server: Event = field(default_factory=Event)
    to_client: Event = field(default_factory=Event)

    def open(self) -> None:
        self.to_server.set()
        self.to_client.set()


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, upstream: tuple[str, int], gates: _Gates) -> None:
        self._client, self._upstream, self.gates = client, upstream, gates
        self._server: socket.socket | None = None
        self._is_closed = False

    def run(self) -> None:
        self._wait(self._to_server)
        if self._is_closed:
            return
        with suppress(OSError):
            self._server = socket.create_connection(self._upstream)
            for each in (self._client, self._server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = Thread(
                target=self._pass_on, args=(self._server, self._client, self._to_client), daemon=True
            )
            back.start()
            self._pass_on(self._client, self._server, self._to_server)
            back.join()
        self._hang_up()

    def close(self) -> None:
        self._is_closed = True
        self.gates.open()
        self._hang_up()

    def _hang_up(self) -> None:
        for each in (self._client, self._server):
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _to_server(self) -> Event:
        return self.gates.to_server

    def _to_client(self) -> Event:
        return self.gates.to_client

    def _pass_on(self, source: socket.socket, target: socket.socket, gate: Callable[[], Event]) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                self._wait(gate)
                target.sendall(data)
            self._wait(gate)  # the end of a connection is passed on no earlier than its data
            target.shutdown(socket.SHUT_WR)

    def _wait(self, gate: Callable[[], Event]) -> None:
        """Until it may pass something on; ``abandon`` gives the link other gates meanwhile."""
        while not (passing := gate()).is_set() or passing is not gate():
            passing.wait()


class FrozenProxy:
    """Passes connections to ``upstream`` on ``port`` until it is frozen."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._gates = _Gates()
        self._gates.open()
        self._links: list[_Link] = []
        self._lock = Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        Thread(target=self._accept, daemon=True).start()

    def freeze(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Pass nothing on in these directions, neither on open connections nor on new ones, which are accepted."""
        if to_server:
            self._gates.to_server.clear()
        if to_client:
            self._gates.to_client.clear()

    def thaw(self) -> None:
        """Pass on what has been kept back, and everything from now on."""
        self._gates.open()

    def abandon(self) -> None:
        """Work again for new connections only: those that are open stay frozen, as after the restart of a router."""
        with self._lock:
            frozen = _Gates()
            for link in self._links:
                link.gates = frozen
            released, self._gates = self._gates, _Gates()
            self._gates.open()
            released.open()  # threads that wait for them look at their link's own gates again

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            links = list(self._links)
        for link in links:
            link.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    link = _Link(client, self._upstream, self._gates)
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


@contextmanager
def frozen_proxy_for(url: str) -> Iterator[tuple[FrozenProxy, str]]:
    """One in front of the service at ``url``, and the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.port
    with frozen_proxy((parts.hostname or "127.0.0.1", parts.port)) as proxy:
        yield proxy, url.replace(f":{parts.port}", f":{proxy.port}")
