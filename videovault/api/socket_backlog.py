"""Ends a websocket on which much arrives that never becomes a message.

The server (granian) puts fragments together before an application sees any of them, up to 64 MiB a socket, and has no
setting for it. What the kernel has received on the connection tells of it all the same.
"""

import asyncio
import ipaddress
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from starlette.types import Message, Receive

from videovault import logs

MOST_BYTES = 512 * 1024  # without a message; the largest is 64 KiB, and several may be on their way
LOOK_SECONDS = 1.0
_RECEIVED = struct.Struct("=128xQ")  # tcpi_bytes_received of struct tcp_info in linux/tcp.h
log = logs.get(__name__)


@contextmanager
def watched(peer: tuple[str, int | str] | None, receive: Receive) -> Iterator[Receive]:
    """``receive`` of the connection from ``peer``, which is cut off once ``MOST_BYTES`` have come without a message."""
    connection = _connection(peer)
    if connection is None:
        yield receive
        return
    with connection:
        yield _Watched(connection, receive)


class _Watched:
    def __init__(self, connection: socket.socket, receive: Receive) -> None:
        self._connection = connection
        self._receive = receive
        self._base = _received(connection)

    async def __call__(self) -> Message:
        coming = asyncio.ensure_future(self._receive())
        try:
            while not (await asyncio.wait({coming}, timeout=LOOK_SECONDS))[0]:
                if _received(self._connection) - self._base > MOST_BYTES:
                    self._cut_off()
                    break
            message = await coming
        finally:
            coming.cancel()  # if nobody waits for it any more
        self._base = _received(self._connection)
        return message

    def _cut_off(self) -> None:
        log.warning("websocket cut off", reason=f"more than {MOST_BYTES // 1024} KiB without a message")
        with suppress(OSError):  # it may have ended by itself
            self._connection.shutdown(socket.SHUT_RDWR)


def _connection(peer: tuple[str, int | str] | None) -> socket.socket | None:
    """A second handle of this process's connection from ``peer``; None where it cannot be found."""
    if peer is None or sys.platform != "linux":
        return None
    open_now = [int(file.name) for file in Path("/proc/self/fd").iterdir()]
    for fd in sorted(open_now, reverse=True):  # the newest are the highest, as a rule
        with suppress(OSError):  # closed meanwhile
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            found = socket.fromfd(fd, socket.AF_INET, socket.SOCK_STREAM)
            if _is_from(found, peer):
                return found
            found.close()
    return None


def _is_from(connection: socket.socket, peer: tuple[str, int | str]) -> bool:
    try:
        address, port = connection.getpeername()[:2]
    except (OSError, ValueError):
        return False
    # Servers give the port as a number, as ASGI says, or as text.
    return str(port) == str(peer[1]) and _plain(address) == _plain(peer[0])


def _plain(address: str) -> str:
    """IPv4 as such, wherever the socket is one for both versions."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _received(connection: socket.socket) -> int:
    """Bytes so far; 0 once it is closed."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED.size)
    except OSError:
        return 0
    count: int = _RECEIVED.unpack(info)[0] if len(info) == _RECEIVED.size else 0
    return count
