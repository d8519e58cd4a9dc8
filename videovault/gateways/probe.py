"""Duration, dimensions, codecs and a poster of a stored video, found by a child process that a hostile file cannot use.

The child has neither network nor files: it asks for bytes through a pipe, and this side fetches them by presigned URL.
What the child says is checked like any stranger's words.
"""

import base64
import os
import selectors
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field

from videovault import logs, untrusted_json
from videovault.bulkhead import CPU_BOUND, Bulkhead
from videovault.errors import Busy
from videovault.gateways.ranges import RangedObject, RangesFailed

DEADLINE_SECONDS = 30.0
BUDGET_BYTES = 48 * 1024**2  # a poster needs one key frame; FFmpeg looks at 5 MB to know the streams
MOST_AT_ONCE = 1024**2
MOST_SAID_BYTES = 1024**2  # a poster of 640 pixels has some ten KiB
LENGTH = struct.Struct("!i")
# Each decodes a picture in a process of its own. Every transfer of a worker may wait for its turn; what gets none is
# stored without a poster.
probing = Bulkhead(at_once=CPU_BOUND, waiting=64, seconds=300.0)

Codec = Annotated[str, Field(pattern=r"^[\w.-]{1,32}$")]
Pixels = Annotated[int, Field(ge=1, le=65536)]

log = logs.get(__name__)


class Description(BaseModel):
    """``duration`` in seconds, ``width`` and ``height`` in pixels as the video is to be shown, codecs by FFmpeg's names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration: float | None = Field(None, gt=0, lt=10**8, allow_inf_nan=False)
    width: Pixels | None = None
    height: Pixels | None = None
    video_codec: Codec | None = None
    audio_codec: Codec | None = None


class Probe(Description):
    """A description with its ``poster``, a WebP image, or None where no picture could be had."""

    poster: bytes | None = None


class ProbeFailed(Exception):
    """The child did not keep to what was agreed, or to its time."""


def probe(
    url: str, container: str, *, seconds: float = DEADLINE_SECONDS, budget: int = BUDGET_BYTES
) -> Probe | None:
    """Look at the video behind ``url``, whose container was sniffed before; None when it cannot be read.

    Takes at most ``seconds`` once its turn has come, and fetches at most ``budget`` bytes. A file that breaks the making of the poster
    keeps its description.
    """
    try:
        with probing.slot():
            return _probe(url, container, time.monotonic() + seconds, budget)
    except Busy:
        log.warning("not probed: too many others are")
        return None


def _probe(url: str, container: str, until: float, budget: int) -> Probe | None:
    conversation = Conversation(until)
    try:
        with RangedObject(url, budget, until) as source, _child(container, source.size()) as child:
            conversation.hold(child, source)
    except (ProbeFailed, RangesFailed, OSError) as error:
        log.warning("probe cut short", reason=str(error) or type(error).__name__)
    return conversation.result()


class Conversation:
    """What the child says, line by line, and the bytes it gets."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._description: Description | None = None
        self._poster: bytes | None = None

    def result(self) -> Probe | None:
        said = self._description
        return Probe(**said.model_dump(), poster=self._poster) if said else None

    def hold(self, child: "subprocess.Popen[bytes]", source: RangedObject) -> None:
        """Until the child has nothing more to say. Raises ProbeFailed, RangesFailed, OSError."""
        for line in self._lines(cast("IO[bytes]", child.stdout)):
            try:
                self._hear(untrusted_json.loads(line), child, source)
            except (
                ValueError,
                TypeError,
                KeyError,
                AttributeError,
            ) as error:  # ValidationError is a ValueError
                raise ProbeFailed(f"it said nonsense: {type(error).__name__}") from error

    def _hear(self, said: dict[str, Any], child: "subprocess.Popen[bytes]", source: RangedObject) -> None:
        if "read" in said:
            start, count = said["read"]
            if not (0 <= int(start) < 2**63 and 0 < int(count) <= MOST_AT_ONCE):
                raise ProbeFailed("it asked for bytes that cannot be")
            self._give(child, source.read(int(start), int(count)))
        elif "described" in said:
            self._description = Description.model_validate(said["described"])
        elif "poster" in said:
            self._poster = _webp(said["poster"])
        else:
            log.info("probe failed", reason=str(said["failed"])[:200])

    def _give(self, child: "subprocess.Popen[bytes]", data: bytes) -> None:
        pipe = cast("IO[bytes]", child.stdin)
        pipe.write(LENGTH.pack(len(data)) + data)
        pipe.flush()

    def _lines(self, pipe: IO[bytes]) -> Iterator[bytes]:
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while selector.select(max(0.0, self._until - time.monotonic())):
                data = os.read(pipe.fileno(), 65536)
                if not data:
                    return
                received += data
                while (end := received.find(b"\n")) >= 0:
                    yield bytes(received[:end])
                    del received[: end + 1]
                if len(received) > MOST_SAID_BYTES:
                    raise ProbeFailed("it said too much")
        raise ProbeFailed("it took too long")


@contextmanager
def _child(container: str, size: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The child process, which ends with the block."""
    child = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "videovault.gateways.probe_child", container, str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
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


def _webp(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise ProbeFailed("its poster is no WebP image")
    return data
