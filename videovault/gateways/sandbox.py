"""A child process for a stranger's video, which has neither network nor files: it asks for bytes through a pipe.

This side fetches them by presigned URL. What the child says is checked like any stranger's words.
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
from videovault.gateways.object_reader import ObjectReader, ObjectReadFailed

MAX_READ_BYTES = 1024**2
MAX_MESSAGE_BYTES = 1024**2  # a poster of 640 pixels has some ten KiB
CHECK_SECONDS = 1.0
LENGTH = struct.Struct("!i")
OnMessage = Callable[[dict[str, Any]], None]


class ChildFailed(Exception):
    """The child did not keep to what was agreed, or to its time."""


def run_child(
    argv: Sequence[str],
    source: ObjectReader,
    until: float,
    heard: OnMessage,
    check: Callable[[], object] = lambda: None,
) -> None:
    """Run a module of ours with these arguments until it has nothing more to say, at most ``until`` (time.monotonic).

    It is given the bytes of ``source``; all else that it says goes to ``heard``, which raises ValueError, TypeError,
    KeyError or AttributeError for nonsense. ``check`` is called about every second and may raise. Raises ChildFailed,
    RangesFailed, OSError.
    """
    with _child(argv) as child:
        for line in _lines(cast("IO[bytes]", child.stdout), until, check):
            try:
                said = untrusted_json.loads(line)
                if "read" in said:
                    _answer(child, source, *said["read"], until=until)
                else:
                    heard(said)
            except (
                ValueError,
                TypeError,
                KeyError,
                AttributeError,
            ) as error:  # ValidationError is a ValueError
                raise ChildFailed(f"it said nonsense: {type(error).__name__}") from error


def _answer(
    child: "subprocess.Popen[bytes]", source: ObjectReader, start: int, count: int, *, until: float
) -> None:
    if not (0 <= int(start) < 2**63 and 0 < int(count) <= MAX_READ_BYTES):
        raise ChildFailed("it asked for bytes that cannot be")
    data = source.read(int(start), int(count))
    left = memoryview(LENGTH.pack(len(data)) + data)
    pipe = cast("IO[bytes]", child.stdin).fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_WRITE)
        while left:
            if not selector.select(max(0.0, until - time.monotonic())):
                raise ChildFailed("it does not take what it asked for")
            left = left[os.write(pipe, left) :]


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
                raise ChildFailed("it said too much")
    raise ChildFailed("it took too long")


@contextmanager
def _child(argv: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """The child process, which ends with the block."""
    child = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    os.set_blocking(cast("IO[bytes]", child.stdin).fileno(), False)  # it may never read
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):  # what was written last may not have been taken
                cast("IO[bytes]", pipe).close()


def _environment() -> dict[str, str]:
    """Nothing of ours but where Python finds its modules: the child needs no secrets."""
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


__all__ = ["ChildFailed", "ObjectReadFailed", "run_child"]
