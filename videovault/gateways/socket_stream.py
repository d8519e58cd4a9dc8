"""One TCP or TLS connection to a checked address, read directly into the caller's buffer.

Sockets do not block: each wait is divided into short polls, so that a cancellation is noticed at once.
"""

import errno
import os
import select
import socket
import ssl
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import httpcore
import httpx

from videovault.gateways.ssrf import POLL_SECONDS, StopCheck

# The kernel wakes us only when this much has arrived, or at the end of a poll: fewer wake-ups, less CPU time.
LOW_WATER_BYTES = 256 * 1024
# Until then it wakes us at every packet: the kernel grows a new connection's window by how promptly we read.
SLOW_START_BYTES = 8 * 1024 * 1024
MIN_RTT = struct.Struct("=148xI")  # tcpi_min_rtt of struct tcp_info in linux/tcp.h, microseconds
UNKNOWN_RTT = 0xFFFFFFFF
TLS_RECORD_BYTES = 16 * 1024 + 256
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
# Read when a context is created, so they are part of the cache key.
CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True)
class Timeout:
    """How long to wait, and the check that may end the wait earlier."""

    seconds: float
    stop: StopCheck


class SocketStream:
    """A connected socket; not thread-safe."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._low_water = 1
        self._wait_for = 0  # poll events, 0 when reading can be tried at once
        self._failure: OSError | None = None
        self._received = 0

    @classmethod
    def connect(cls, addresses: Sequence[str], port: int, timeout: Timeout) -> "SocketStream":
        """Connect to the first address that answers; the time is divided among them.

        Raises httpx.ConnectError or httpx.ConnectTimeout for the last address, and what ``stop`` raises.
        """
        end = time.monotonic() + timeout.seconds
        *others, last = addresses
        for left, address in enumerate(others):
            share = (end - time.monotonic()) / (len(addresses) - left)
            try:
                return cls(_connect(address, port, time.monotonic() + share, timeout.stop))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return cls(_connect(last, port, end, timeout.stop))

    def secure(self, context: ssl.SSLContext, name: str, timeout: Timeout) -> None:
        """Start TLS; the certificate must be valid for the host ``name``.

        Raises httpx.ConnectError (caused by the ssl.SSLError), httpx.ConnectTimeout, and what ``stop`` raises.
        """
        end = time.monotonic() + timeout.seconds
        self._socket = secured = _wrap(self._socket, context, name)
        while events := _handshake_step(secured):
            _wait(secured, events, timeout.stop)
            if time.monotonic() > end:
                raise httpx.ConnectTimeout("the TLS handshake took too long")

    def send(self, data: bytes, timeout: Timeout) -> None:
        """Raises httpx.WriteError, httpx.WriteTimeout, and what ``stop`` raises."""
        end, rest = time.monotonic() + timeout.seconds, memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except _WOULD_BLOCK as error:
                _wait(self._socket, _events(error, select.POLLOUT), timeout.stop)
            except OSError as error:
                raise httpx.WriteError(str(error)) from error
            if time.monotonic() > end:
                raise httpx.WriteTimeout("the request could not be sent in time")

    def receive(self, buffer: memoryview, stop: StopCheck, *, expected: int = 0) -> int | None:
        """Read what has arrived into ``buffer``: its length, 0 at the end, None if nothing came during one poll.

        ``expected``: how many bytes are certain to follow. Raises httpx.ReadError, and what ``stop`` raises.
        """
        many = self._received > SLOW_START_BYTES and expected > LOW_WATER_BYTES + TLS_RECORD_BYTES
        self._set_low_water(LOW_WATER_BYTES if many else 1)
        if self._wait_for:
            _wait(self._socket, self._wait_for, stop)
        count = self._drain(buffer)
        self._received += count or 0
        return count

    def round_trip(self) -> float | None:
        """The shortest round trip in seconds that the kernel has measured; None where it gives none.

        Unlike the time until a response starts, it does not grow when this process or the server is busy.
        """
        if sys.platform != "linux":
            return None
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, MIN_RTT.size)
        microseconds: int
        (microseconds,) = MIN_RTT.unpack(info) if len(info) == MIN_RTT.size else (0,)
        return microseconds / 1e6 if 0 < microseconds < UNKNOWN_RTT else None

    def is_quiet(self) -> bool:
        """Whether nothing has arrived since the last response, not even the end."""
        decrypted = self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0
        return not decrypted and not _ready(self._socket, select.POLLIN, 0)

    def close(self) -> None:
        self._socket.close()

    def _drain(self, buffer: memoryview) -> int | None:
        if self._failure:
            raise httpx.ReadError(str(self._failure)) from self._failure
        self._wait_for, filled = 0, 0
        try:
            while filled < len(buffer):
                count = self._socket.recv_into(buffer[filled:])
                if not count:
                    return filled
                filled += count
        except _WOULD_BLOCK as error:
            self._wait_for = _events(error, select.POLLIN)
            return filled or None
        except OSError as error:
            self._failure = error
            if not filled:
                raise httpx.ReadError(str(error)) from error
        return filled

    def _set_low_water(self, low_water: int) -> None:
        if low_water != self._low_water:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, low_water)
            self._low_water = low_water


def ssl_context(authority: str = "") -> ssl.SSLContext:
    """Trusts the system's authorities (and ``SSL_CERT_FILE``) and certifi's, or only those in the file ``authority``.

    Shared by all connections: loading the certificates takes tens of milliseconds.
    """
    return _context(authority, *(os.environ.get(name, "") for name in CA_VARIABLES))


@lru_cache(maxsize=4)
def _context(authority: str, *_environment: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority) if authority else httpcore.default_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _connect(address: str, port: int, end: float, stop: StopCheck) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _finish_connect(sock, address, port, end, stop)
    except BaseException:
        sock.close()
        raise
    return sock


def _finish_connect(sock: socket.socket, address: str, port: int, end: float, stop: StopCheck) -> None:
    code = sock.connect_ex((address, port))
    while code == errno.EINPROGRESS and not _wait(sock, select.POLLOUT, stop):
        if time.monotonic() > end:
            raise httpx.ConnectTimeout("no answer to the connection request")
    if code in (0, errno.EINPROGRESS):
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise httpx.ConnectError(os.strerror(code))


def _wrap(plain: socket.socket, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    try:
        # An end without TLS's close_notify may be an attacker's truncation: it must not count as the end.
        return context.wrap_socket(
            plain, server_hostname=name, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error


def _handshake_step(secured: ssl.SSLSocket) -> int:
    """One step of the handshake: the poll events to wait for, 0 when it is complete."""
    try:
        secured.do_handshake()
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
        return _events(error, select.POLLIN)
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error
    return 0


def _events(error: OSError, default: int) -> int:
    """What to wait for: TLS may have to read before it can write, and vice versa."""
    if isinstance(error, ssl.SSLWantReadError):
        return select.POLLIN
    return select.POLLOUT if isinstance(error, ssl.SSLWantWriteError) else default


def _wait(sock: socket.socket, events: int, stop: StopCheck) -> bool:
    """Wait for one of ``events``, at most POLL_SECONDS; whether it occurred."""
    stop()
    return _ready(sock, events, POLL_SECONDS)


def _ready(sock: socket.socket, events: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(sock, events)
    return bool(poll.poll(seconds * 1000))
