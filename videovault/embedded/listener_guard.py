"""Closes connections that exceed limits which neither the HTTP server nor the application can enforce.

The server has no limit per client address, and the application sees neither silent connections nor incomplete websocket
messages. This process's sockets show both.
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
from videovault.embedded.processes import connection_limit
from videovault.logs import LimitLog
from videovault.services.core import client_ip

CHECK_SECONDS = 0.5
STOP_SECONDS = 5.0
GROUPS_CACHED = 4096
IDLE_FACTOR = 20  # checks take at most 5 % of one core, for any number of connections
# The server reads up to 128 KiB ahead of the messages that the application has received.
MAX_UNFINISHED_BYTES = MAX_WEBSOCKET_MESSAGE_BYTES + 128 * 1024 + 1024
MAX_HEADER_BYTES = 64 * 1024  # of a handshake
OVERHEAD_BYTES = 4096  # of control frames, between two checks
TCP_INFO_BYTES = 136
BYTES_ACKED = 120  # the offset in Linux's struct tcp_info of two numbers of 64 bits: acknowledged, received
TCP = (
    socket.AF_INET,
    socket.SOCK_STREAM,
    0,
)  # for IPv6 too: naming the family saves three system calls for each socket

Peer = tuple[str, int]
log = logs.get(__name__)


@dataclass(frozen=True)
class Limits:
    """``group`` is the rate-limit key of an address; for ``exempt`` addresses only the total is limited."""

    total: int
    per_address: int
    group: Callable[[str], str]
    exempt: Callable[[str], bool]


@dataclass(frozen=True)
class Connection:
    """``answered``: whether the client has acknowledged any byte. ``read`` counts bytes read from the kernel."""

    fd: int
    peer: Peer
    answered: bool
    read: int


@dataclass
class ListenerGuard:
    """``delivered``: by peer, the bytes that each open websocket has delivered to the application in messages."""

    port: int
    limits: Limits
    delivered: Mapping[Peer, int]
    notes: LimitLog
    _seen: dict[Peer, float] = field(default_factory=dict)
    _overhead: dict[Peer, tuple[int, int]] = field(default_factory=dict)

    def check(self) -> None:
        """Close the connections that exceed the limits."""
        connections = list(_connections(self.port))
        began = time.monotonic()
        self._seen = {each.peer: self._seen.get(each.peer, began) for each in connections}
        self._close_excess(connections)
        self._close_unfinished(connections)

    def _close_excess(self, connections: Collection[Connection]) -> None:
        by_group: dict[str, list[Connection]] = {}
        for each in connections:
            by_group.setdefault(self.limits.group(each.peer[0]), []).append(each)
        share = _fair_share(Counter({name: len(own) for name, own in by_group.items()}), self.limits.total)
        for name, own in by_group.items():
            is_exempt = self.limits.exempt(own[0].peer[0])
            allowed = share if is_exempt else min(share, self.limits.per_address)
            if len(own) > allowed:
                limit = "connections in total" if allowed == share else "connections per address"
                self._close(self._in_closing_order(own)[: len(own) - allowed], limit, name)

    def _in_closing_order(self, connections: Iterable[Connection]) -> list[Connection]:
        """Those that were never answered first, each kind from the newest to the oldest."""
        return sorted(connections, key=lambda each: (each.answered, -self._seen[each.peer]))

    def _close_unfinished(self, connections: Iterable[Connection]) -> None:
        """Close websockets that have sent more than the size limit without completing a message.

        Bytes read but not delivered are the handshake, control frames and the unfinished message. Only a small increase
        since the last check, next to a delivered message, counts as overhead: otherwise a flood between two checks would
        be counted as overhead too.
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
    """Run the guard in a thread of its own, so that a busy event loop cannot delay it."""
    limits = Limits(
        total=connection_limit(settings.max_connections),
        per_address=settings.max_connections_per_address,
        group=lru_cache(GROUPS_CACHED)(client_ip.rate_limit_key),
        exempt=lambda host: client_ip.is_in_networks(client_ip.parse_address(host), settings.trusted_proxies),
    )
    guard = ListenerGuard(settings.port, limits, delivered, notes)
    stop = threading.Event()
    thread = threading.Thread(
        target=_check_repeatedly, args=(guard, stop), name="listener-guard", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(STOP_SECONDS)


def _check_repeatedly(guard: ListenerGuard, stop: threading.Event) -> None:
    pause = CHECK_SECONDS
    while not stop.wait(pause):
        began = time.thread_time()
        try:
            guard.check()
        except OSError:
            log.exception("the connections cannot be listed")
        pause = max(CHECK_SECONDS, IDLE_FACTOR * (time.thread_time() - began))


def _fair_share(counts: Counter[str], total: int) -> int:
    """The highest limit per group with which all groups together stay within ``total``."""
    left, names = total, len(counts)
    for count in sorted(counts.values()):
        if count * names > left:
            return max(1, left // names)
        left, names = left - count, names - 1
    return total


def _connections(port: int) -> Iterator[Connection]:
    """The accepted connections of this process."""
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - thousands of names; paths are not needed
        with suppress(OSError), _borrowed(int(name)) as found:
            if not _is_on(port, found.getsockname()):
                continue
            ip, number = found.getpeername()[:2]
            acked, read = _transferred(found)
            yield Connection(int(name), (ip, number), acked, read)


def _is_on(port: int, name: Any) -> bool:
    """Unix sockets have a string as a name, or none."""
    return isinstance(name, tuple) and name[1] == port


def _transferred(connection: socket.socket) -> tuple[bool, int]:
    """Whether anything was sent, and the bytes that were read; known on Linux only."""
    if sys.platform != "linux":
        return True, 0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    acked, received = struct.unpack_from("=QQ", info, BYTES_ACKED)
    (unread,) = struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, bytes(4)))
    return acked > 0, received - unread


@contextmanager
def _borrowed(fd: int) -> Iterator[socket.socket]:
    """A socket for a descriptor that the server owns and that stays open. Raises OSError when it is no socket."""
    view = socket.socket(*TCP, fileno=fd)
    try:
        yield view
    finally:
        view.detach()


def _shut_down(connection: Connection) -> None:
    """Shut it down if the descriptor still belongs to it; the server notices at once and closes its side."""
    with suppress(OSError), socket.socket(*TCP, fileno=os.dup(connection.fd)) as own:
        if own.getpeername()[:2] == connection.peer:
            own.shutdown(socket.SHUT_RDWR)
