"""What FFmpeg says about a stored video, and the copy that it makes for browsers, each in a sandboxed child process.

The probe gives duration, dimensions, codecs, completeness and a poster. The child has neither network nor files: it
requests bytes by a pipe, and the parent fetches them by presigned URL. Its messages are untrusted and validated.
"""

import base64
import errno
import json
import os
import selectors
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import IO, Annotated, Any, BinaryIO, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from videovault import logs, untrusted_json
from videovault.bulkhead import CPU_CONCURRENCY, Bulkhead
from videovault.errors import Busy
from videovault.gateways.object_reader import ObjectReader, ObjectReadFailed, ObjectUnavailable

PROBE_SECONDS = 30.0
PROBE_BYTES = 48 * 1024**2  # a poster needs one key frame; FFmpeg looks at 5 MB to know the streams
# Each probe decodes a frame in its own process. A video that gets no slot in time is stored without a poster.
probe_slots = Bulkhead(at_once=CPU_CONCURRENCY, waiting=64, seconds=300.0)
MAX_READ_BYTES = 1024**2
MAX_MESSAGE_BYTES = 1024**2  # a poster of 640 pixels takes tens of KiB
CHECK_SECONDS = 1.0
_LENGTH = struct.Struct("!i")
_OnMessage = Callable[[dict[str, Any]], None]
# Read budget: interleaved streams that lie far apart are read several times.
READ_FACTOR, EXTRA_READ_BYTES = 3, 64 * 1024**2
AudioTarget = Literal["copy", "aac", "opus"]
# FFmpeg's names are ASCII. Building a pattern that repeats Unicode's \w up to 60 times would take 30 ms at import.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=32)]
Profile = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,:+() @-]+$", max_length=60)]
Pixels = Annotated[int, Field(ge=1, le=65536)]

log = logs.get(__name__)


class ChildFailed(Exception):
    """The child process broke the protocol or its deadline."""


class MediaInfo(BaseModel):
    """``duration`` in seconds, ``width`` and ``height`` in pixels as displayed, codecs by FFmpeg's names.

    ``video_level`` as the codec counts (H.264: 42 is 4.2), ``rotation`` in degrees counter-clockwise, ``frame_rate`` in
    frames per second. ``has_picture`` is False for audio only. ``has_duration``: the container states the duration.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration: float | None = Field(None, gt=0, lt=10**8, allow_inf_nan=False)
    width: Pixels | None = None
    height: Pixels | None = None
    video_codec: Name | None = None
    audio_codec: Name | None = None
    video_profile: Profile | None = None
    video_level: int | None = Field(None, ge=0, le=1000)
    pixel_format: Name | None = None
    bit_depth: int | None = Field(None, ge=1, le=64)
    rotation: int | None = Field(None, ge=0, lt=360)
    frame_rate: float | None = Field(None, gt=0, lt=10**6, allow_inf_nan=False)
    has_picture: bool = True
    has_duration: bool = True


class ProbeResult(MediaInfo):
    """Media info with the ``poster``, a WebP image, or None if no frame could be decoded.

    ``is_complete`` is False for a truncated file, which has no other info, and None if unknown.
    """

    poster: bytes | None = None
    is_complete: bool | None = None


def probe_video(
    url: str, container: str, *, seconds: float = PROBE_SECONDS, budget: int = PROBE_BYTES
) -> ProbeResult | None:
    """Probe the video at ``url``, whose container is already detected; None when it cannot be read.

    Takes at most ``seconds`` once it has a slot, and fetches at most ``budget`` bytes. If only the poster fails, the
    media info is returned.
    """
    try:
        with probe_slots.slot():
            return _probe(url, container, time.monotonic() + seconds, budget)
    except Busy:
        log.warning("not probed: no slot")
        return None


def _probe(url: str, container: str, until: float, budget: int) -> ProbeResult | None:
    found = _Findings()
    try:
        with ObjectReader(url, budget, until) as source:
            argv = ["videovault.gateways.probe_child", container, str(source.size())]
            _run_child(argv, source, until, found.on_message)
    except (ChildFailed, ObjectReadFailed, OSError) as error:
        log.warning("probe ended early", reason=str(error) or type(error).__name__)
    return found.result()


class _Findings:
    """Collects the child's messages; of several posters, the last one counts."""

    def __init__(self) -> None:
        self._is_complete: bool | None = None
        self._info: MediaInfo | None = None
        self._poster: bytes | None = None

    def result(self) -> ProbeResult | None:
        if self._is_complete is False:
            return ProbeResult(is_complete=False)
        if self._info is None:
            return None
        return ProbeResult(**self._info.model_dump(), poster=self._poster, is_complete=self._is_complete)

    def on_message(self, message: dict[str, Any]) -> None:
        if "complete" in message:
            self._is_complete = None if message["complete"] is None else message["complete"] is True
        elif "described" in message:
            self._info = MediaInfo.model_validate(message["described"])
        elif "poster" in message:
            self._poster = _decode_webp(message["poster"])
        else:
            log.info("probe failed", reason=str(message["failed"])[:200])


def _decode_webp(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise ChildFailed("its poster is not a WebP image")
    return data


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
            _run_child(argv, source, until, output.on_message, check)
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


def _run_child(
    argv: Sequence[str],
    source: ObjectReader,
    until: float,
    on_message: _OnMessage,
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
    remaining = memoryview(_LENGTH.pack(len(data)) + data)
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
