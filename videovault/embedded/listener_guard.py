"""Closes connections beyond the limits that neither the HTTP server nor the application can enforce.

The server has no limit per client address, silent connections never reach the application, and neither do the
fragments of a websocket message before its last one. All of it can be read from the sockets of this process.
"""

import fcntl
import os
import socket
import struct
import sys
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from videovault import logs
from videovault.config import MAX_WEBSOCKET_MESSAGE_BYTES, Settings
from videovault.embedded.process import connection_limit
from videovault.logs.dedup import LimitLog
from videovault.services.core import client_ip

LOOK_SECONDS = 0.5
STOP_SECONDS = 5.0
GROUPS_CACHED = 4096
IDLE_FACTOR = 20  # looking takes 5 % of one core at most, however many connections there are
# The server reads up to 128 KiB ahead of the messages that the application has received.
MAX_UNFINISHED_BYTES = MAX_WEBSOCKET_MESSAGE_BYTES + 128 * 1024 + 1024
MAX_HEADER_BYTES = 64 * 1024  # of a handshake
OVERHEAD_BYTES = 4096  # of control frames, between two looks
TCP_INFO_BYTES = 136
BYTES_ACKED = 120  # the offset in Linux's struct tcp_info of two numbers of 64 bits: acknowledged, received
TCP = (
    socket.AF_INET,
    socket.SOCK_STREAM,
    0,
)  # IPv6 ones too: that it need not be asked saves three calls each

Peer = tuple[str, int]
log = logs.get(__name__)


@dataclass(frozen=True)
class Limits:
    """``group`` names what counts as one client; connections of an ``exempt`` group are limited in total only."""

    total: int
    per_address: int
    group: Callable[[str], str]
    exempt: Callable[[str], bool]


@dataclass(frozen=True)
class Connection:
    """``answered``: whether anything was ever sent to the client. ``read`` counts bytes taken from the kernel."""

    fd: int
    peer: Peer
    answered: bool
    read: int


@dataclass
class ListenerGuard:
    """``delivered`` holds, by peer, how many bytes each open websocket has brought to the application in messages."""

    port: int
    limits: Limits
    delivered: Mapping[Peer, int]
    notes: LimitLog
    _seen: dict[Peer, float] = field(default_factory=dict)
    _overhead: dict[Peer, tuple[int, int]] = field(default_factory=dict)

    def look(self) -> None:
        """Close what is beyond the limits now."""
        connections = list(_connections(self.port))
        began = time.monotonic()
        self._seen = {each.peer: self._seen.get(each.peer, began) for each in connections}
        self._close_beyond(connections)
        self._close_unfinished(connections)

    def _close_beyond(self, connections: Collection[Connection]) -> None:
        by_group: dict[str, list[Connection]] = {}
        for each in connections:
            by_group.setdefault(self.limits.group(each.peer[0]), []).append(each)
        share = _fair_share(Counter({name: len(own) for name, own in by_group.items()}), self.limits.total)
        for name, own in by_group.items():
            is_exempt = self.limits.exempt(own[0].peer[0])
            most = share if is_exempt else min(share, self.limits.per_address)
            if len(own) > most:
                limit = "connections in total" if most == share else "connections per address"
                self._close(self._first_to_go(own)[: len(own) - most], limit, name)

    def _first_to_go(self, connections: Iterable[Connection]) -> list[Connection]:
        """Those that were never answered before the others, the newest first."""
        return sorted(connections, key=lambda each: (each.answered, -self._seen[each.peer]))

    def _close_unfinished(self, connections: Iterable[Connection]) -> None:
        """Websockets that have sent more than a message may have, without completing one.

        What was read and not delivered is the head of the handshake, control frames, and the unfinished message. Only
        a small rise since the last look, beside a delivered message, counts as overhead: after a flood in between two
        looks nothing else would be left to compare with.
        """
        delivered = dict(self.delivered)
        before, self._overhead = self._overhead, {}
        for each in connections:
            count = delivered.get(each.peer)
            if count is None:
                continue
            undelivered = each.read - count
            overhead, counted = before.get(each.peer, (min(undelivered, MAX_HEADER_BYTES), count))
            if count != counted and undelivered - overhead <= OVERHEAD_BYTES:
                overhead = undelivered
            self._overhead[each.peer] = overhead, count
            if undelivered - overhead > MAX_UNFINISHED_BYTES:
                self._close([each], "size of a websocket message", self.limits.group(each.peer[0]))

    def _close(self, connections: Iterable[Connection], limit: str, name: str) -> None:
        self.notes.note(limit, name)
        for each in connections:
            _shut_down(each)


@contextmanager
def guarding_listener(settings: Settings, delivered: Mapping[Peer, int], notes: LimitLog) -> Iterator[None]:
    """The guard at work in a thread of its own: a busy event loop must not keep it from its work."""
    limits = Limits(
        total=connection_limit(settings.max_connections),
        per_address=settings.max_connections_per_address,
        group=lru_cache(GROUPS_CACHED)(client_ip.rate_limit_key),
        exempt=lambda host: client_ip.is_in_networks(client_ip.parse_address(host), settings.trusted_proxies),
    )
    guard = ListenerGuard(settings.port, limits, delivered, notes)
    stop = threading.Event()
    thread = threading.Thread(target=_keep_looking, args=(guard, stop), name="listener-guard", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(STOP_SECONDS)


def _keep_looking(guard: ListenerGuard, stop: threading.Event) -> None:
    pause = LOOK_SECONDS
    while not stop.wait(pause):
        began = time.thread_time()
        try:
            guard.look()
        except OSError:
            log.exception("the connections cannot be listed")
        pause = max(LOOK_SECONDS, IDLE_FACTOR * (time.thread_time() - began))


def _fair_share(counts: Counter[str], total: int) -> int:
    """The most that each may have so that all together have no more than ``total``."""
    left, names = total, len(counts)
    for count in sorted(counts.values()):
        if count * names > left:
            return max(1, left // names)
        left, names = left - count, names - 1
    return total


def _connections(port: int) -> Iterator[Connection]:
    """The accepted connections of this process."""
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - thousands of names, of which no paths are wanted
        with suppress(OSError), _borrowed(int(name)) as found:
            if not _is_on(port, found.getsockname()):
                continue
            ip, number = found.getpeername()[:2]
            acked, read = _transferred(found)
            yield Connection(int(name), (ip, number), acked, read)


def _is_on(port: int, name: Any) -> bool:
    """Sockets between processes have a text for a name, if any."""
    return isinstance(name, tuple) and name[1] == port


def _transferred(connection: socket.socket) -> tuple[bool, int]:
    """Whether anything was sent, and the bytes that were read; other systems than Linux tell neither."""
    if sys.platform != "linux":
        return True, 0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    acked, received = struct.unpack_from("=QQ", info, BYTES_ACKED)
    (unread,) = struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, bytes(4)))
    return acked > 0, received - unread


@contextmanager
def _borrowed(fd: int) -> Iterator[socket.socket]:
    """A view of a descriptor that the server owns and that stays open. Raises OSError when it is no socket."""
    view = socket.socket(*TCP, fileno=fd)
    try:
        yield view
    finally:
        view.detach()


def _shut_down(connection: Connection) -> None:
    """End it if the descriptor still belongs to it: the server closes its side itself, and sees it at once."""
    with suppress(OSError), socket.socket(*TCP, fileno=os.dup(connection.fd)) as own:
        if own.getpeername()[:2] == connection.peer:
            own.shutdown(socket.SHUT_RDWR)
