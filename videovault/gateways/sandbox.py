"""Run a sandboxed child process for an untrusted video, without network and files: it requests bytes by a pipe.

The parent fetches them by presigned URL. The child's messages are untrusted.
"""

import os
import selectors
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from videovault import untrusted_json
from videovault.gateways.object_reader import ObjectReader

MAX_READ_BYTES = 1024**2
MAX_MESSAGE_BYTES = 1024**2  # a poster of 640 pixels takes tens of KiB
CHECK_SECONDS = 1.0
LENGTH = struct.Struct("!i")
OnMessage = Callable[[dict[str, Any]], None]


class ChildFailed(Exception):
    """The child broke the protocol or its deadline."""


def run_child(
    argv: Sequence[str],
    source: ObjectReader,
    until: float,
    on_message: OnMessage,
    check: Callable[[], object] = lambda: None,
) -> None:
    """Run one of our modules with these arguments until it ends, at most ``until`` (time.monotonic).

    Its read requests are answered from ``source``. Other messages go to ``on_message``, which raises ValueError,
    TypeError, KeyError or AttributeError for invalid ones. ``check`` is called about every second and may raise.
    Raises ChildFailed, ObjectReadFailed, OSError.
    """
    with _child(argv) as child:
        for line in _lines(cast("IO[bytes]", child.stdout), until, check):
            try:
                message = untrusted_json.loads(line)
                if "read" in message:
                    _send_bytes(child, source, *message["read"], until=until)
                else:
                    on_message(message)
            # ValidationError is a ValueError.
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ChildFailed(f"it sent an invalid message: {type(error).__name__}") from error


def _send_bytes(
    child: "subprocess.Popen[bytes]", source: ObjectReader, start: int, count: int, *, until: float
) -> None:
    if not (0 <= int(start) < 2**63 and 0 < int(count) <= MAX_READ_BYTES):
        raise ChildFailed("it requested an invalid range")
    data = source.read(int(start), int(count))
    remaining = memoryview(LENGTH.pack(len(data)) + data)
    pipe = cast("IO[bytes]", child.stdin).fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_WRITE)
        while remaining:
            if not selector.select(max(0.0, until - time.monotonic())):
                raise ChildFailed("it does not read what it requested")
            remaining = remaining[os.write(pipe, remaining) :]


def _lines(pipe: IO[bytes], until: float, check: Callable[[], object]) -> Iterator[bytes]:
    received = bytearray()
    checked = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while (now := time.monotonic()) < until:
            if now - checked >= CHECK_SECONDS:
                check()
                checked = now
            if not selector.select(min(CHECK_SECONDS, until - now)):
                continue
            data = os.read(pipe.fileno(), 65536)
            if not data:
                return
            searched = len(received)
            received += data
            while (end := received.find(b"\n", searched)) >= 0:
                yield bytes(received[:end])
                del received[: end + 1]
                searched = 0
            if len(received) > MAX_MESSAGE_BYTES:
                raise ChildFailed("its message is too long")
    raise ChildFailed("it took too long")


@contextmanager
def _child(argv: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A child process that is killed at the end of the block."""
    child = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    os.set_blocking(cast("IO[bytes]", child.stdin).fileno(), False)  # the child may never read
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):  # the last bytes may be unread
                cast("IO[bytes]", pipe).close()


def _environment() -> dict[str, str]:
    """Only the paths of Python's modules: the child needs no secrets."""
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
