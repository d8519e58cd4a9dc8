"""Convert a stored video to one that browsers play, in a sandboxed child process that writes to a local file."""

import base64
import errno
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Literal

from videovault import logs
from videovault.gateways import sandbox
from videovault.gateways.object_reader import ObjectReader, ObjectReadFailed, ObjectUnavailable
from videovault.gateways.sandbox import ChildFailed

# Read budget: interleaved streams that lie far apart are read several times.
READ_FACTOR, EXTRA_READ_BYTES = 3, 64 * 1024**2
AudioTarget = Literal["copy", "aac", "opus"]
log = logs.get(__name__)


class ConversionFailed(Exception):
    """The video cannot be converted; the message is the reason."""


class SourceUnreadable(ConversionFailed):
    """S3 does not send the original, perhaps temporarily."""


@dataclass(frozen=True)
class Recipe:
    """``copy`` keeps a stream as it is, which is fast; an ``audio`` of None means no audio."""

    container: Literal["mp4", "webm"]
    video: Literal["copy", "h264"]
    audio: AudioTarget | None


@dataclass(frozen=True)
class SourceVideo:
    """The video at ``url``; ``duration`` in seconds, ``rotation`` in degrees."""

    url: str
    container: str
    duration: float | None
    rotation: int


@dataclass(frozen=True)
class Limits:
    """Wall-clock and CPU seconds, and the size of the copy in bytes."""

    seconds: float
    output_bytes: int


def convert(
    original: SourceVideo, recipe: Recipe, into: BinaryIO, limits: Limits, check: Callable[[], object]
) -> int:
    """Write the copy to ``into``, an empty file; returns its size in bytes.

    ``check`` is called about every second, and its exception ends the conversion. Raises ConversionFailed,
    SourceUnreadable, and OSError when the disk is full.
    """
    output = _Output(into, limits.output_bytes)
    until = time.monotonic() + limits.seconds
    try:
        with ObjectReader(original.url, 1, until) as reader:
            size = reader.size()
        with ObjectReader(original.url, size * READ_FACTOR + EXTRA_READ_BYTES, until) as source:
            request = {
                "container": original.container,
                "size": size,
                "duration": original.duration,
                "rotation": original.rotation,
                "recipe": asdict(recipe),
                "cpu_seconds": round(limits.seconds),
            }
            argv = ["videovault.gateways.conversion_child", json.dumps(request)]
            sandbox.run_child(argv, source, until, output.on_message, check)
    except ObjectUnavailable as error:
        raise SourceUnreadable(str(error)) from error
    except (ChildFailed, ObjectReadFailed, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise ConversionFailed(str(error) or type(error).__name__) from error
    return output.finished()


class _Output:
    """Writes the child's output to the file."""

    def __init__(self, into: BinaryIO, max_bytes: int) -> None:
        self._into, self._max_bytes = into, max_bytes
        self._size, self._is_done, self._reason = 0, False, "it ended early"

    def on_message(self, message: dict[str, Any]) -> None:
        if "write" in message:
            at, text = message["write"]
            self._write(int(at), base64.b64decode(text, validate=True))
        elif "failed" in message:
            self._reason = str(message["failed"])[:200]
        else:
            self._is_done = message["done"] is True

    def finished(self) -> int:
        if not self._is_done or not self._size:
            raise ConversionFailed(self._reason)
        return self._size

    def _write(self, at: int, data: bytes) -> None:
        if at < 0 or at + len(data) > self._max_bytes:
            raise ChildFailed("the copy is too large")
        while data:
            written = os.pwrite(self._into.fileno(), data, at)
            at, data = at + written, data[written:]
        self._size = max(self._size, at)
