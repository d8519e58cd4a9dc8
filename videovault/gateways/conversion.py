"""A copy of a stored video that browsers play, made by a confined child process and kept in a file meanwhile."""

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

# Of the original: streams that lie far apart are read again and again.
READS_EACH_BYTE, MORE_BYTES = 3, 64 * 1024**2
AudioTarget = Literal["copy", "aac", "opus"]
log = logs.get(__name__)


class ConversionFailed(Exception):
    """No copy can be made; says why."""


class SourceUnreadable(ConversionFailed):
    """S3 does not give the original, perhaps only for now."""


@dataclass(frozen=True)
class Recipe:
    """``copy`` keeps a stream as it is, which takes no time; an ``audio`` of None: there is none."""

    container: Literal["mp4", "webm"]
    video: Literal["copy", "h264"]
    audio: AudioTarget | None


@dataclass(frozen=True)
class SourceVideo:
    """The video behind ``url``; ``duration`` in seconds, ``rotation`` in degrees."""

    url: str
    container: str
    duration: float | None
    rotation: int


@dataclass(frozen=True)
class Limits:
    """Seconds of time, and of the processor's; bytes of the copy."""

    seconds: float
    output_bytes: int


def convert(
    original: SourceVideo, recipe: Recipe, into: BinaryIO, limits: Limits, check: Callable[[], object]
) -> int:
    """Write the copy to the beginning of ``into``, an empty file; its size in bytes.

    ``check`` is called about every second, and what it raises ends it. Raises ConversionFailed, OriginalUnreadable, and
    OSError where the disk is full.
    """
    copy = _Copy(into, limits.output_bytes)
    until = time.monotonic() + limits.seconds
    try:
        with ObjectReader(original.url, 1, until) as measured:
            size = measured.size()
        with ObjectReader(original.url, size * READS_EACH_BYTE + MORE_BYTES, until) as source:
            asked = {
                "container": original.container,
                "size": size,
                "duration": original.duration,
                "rotation": original.rotation,
                "recipe": asdict(recipe),
                "cpu_seconds": round(limits.seconds),
            }
            argv = ["videovault.gateways.conversion_child", json.dumps(asked)]
            sandbox.run_child(argv, source, until, copy.hear, check)
    except ObjectUnavailable as error:
        raise SourceUnreadable(str(error)) from error
    except (ChildFailed, ObjectReadFailed, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise ConversionFailed(str(error) or type(error).__name__) from error
    return copy.finished()


class _Copy:
    """The file in the making."""

    def __init__(self, into: BinaryIO, most_bytes: int) -> None:
        self._into, self._most_bytes = into, most_bytes
        self._size, self._is_done, self._why = 0, False, "it ended before its time"

    def hear(self, said: dict[str, Any]) -> None:
        if "write" in said:
            at, text = said["write"]
            self._write(int(at), base64.b64decode(text, validate=True))
        elif "failed" in said:
            self._why = str(said["failed"])[:200]
        else:
            self._is_done = said["done"] is True

    def finished(self) -> int:
        if not self._is_done or not self._size:
            raise ConversionFailed(self._why)
        return self._size

    def _write(self, at: int, data: bytes) -> None:
        if at < 0 or at + len(data) > self._most_bytes:
            raise ChildFailed("the copy grows too large")
        while data:
            written = os.pwrite(self._into.fileno(), data, at)
            at, data = at + written, data[written:]
        self._size = max(self._size, at)
