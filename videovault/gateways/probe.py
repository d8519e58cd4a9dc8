"""Duration, dimensions, codecs, completeness and a poster of a stored video, found by a confined child process.

What the child says is checked like any stranger's words.
"""

import base64
import time
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from videovault import logs
from videovault.bulkhead import CPU_CONCURRENCY, Bulkhead
from videovault.errors import Busy
from videovault.gateways import sandbox
from videovault.gateways.object_reader import ObjectReader, ObjectReadFailed
from videovault.gateways.sandbox import ChildFailed

DEADLINE_SECONDS = 30.0
BUDGET_BYTES = 48 * 1024**2  # a poster needs one key frame; FFmpeg looks at 5 MB to know the streams
# Each decodes a picture in a process of its own. Every transfer of a worker may wait for its turn; what gets none is
# stored without a poster.
probe_slots = Bulkhead(at_once=CPU_CONCURRENCY, waiting=64, seconds=300.0)

Name = Annotated[str, Field(pattern=r"^[\w.-]{1,32}$")]
Profile = Annotated[str, Field(pattern=r"^[\w.,:+() @-]{1,60}$")]
Pixels = Annotated[int, Field(ge=1, le=65536)]

log = logs.get(__name__)


class MediaInfo(BaseModel):
    """``duration`` in seconds, ``width`` and ``height`` in pixels as the video is to be shown, codecs by FFmpeg's names.

    ``video_level`` as the codec counts (H.264: 42 is 4.2), ``rotation`` in degrees counter-clockwise, ``frame_rate`` in
    frames a second. ``has_picture`` is False for sound alone. ``has_duration`` is whether the container tells it.
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
    """A description with its ``poster``, a WebP image, or None where no picture could be had.

    ``is_complete`` is False for a file that was cut short, which then has no description, and None where the file
    does not tell.
    """

    poster: bytes | None = None
    is_complete: bool | None = None


def probe_video(
    url: str, container: str, *, seconds: float = DEADLINE_SECONDS, budget: int = BUDGET_BYTES
) -> ProbeResult | None:
    """Look at the video behind ``url``, whose container was sniffed before; None when it cannot be read.

    Takes at most ``seconds`` once its turn has come, and fetches at most ``budget`` bytes. A file that breaks the making of the poster
    keeps its description.
    """
    try:
        with probe_slots.slot():
            return _probe(url, container, time.monotonic() + seconds, budget)
    except Busy:
        log.warning("not probed: too many others are")
        return None


def _probe(url: str, container: str, until: float, budget: int) -> ProbeResult | None:
    found = _Findings()
    try:
        with ObjectReader(url, budget, until) as source:
            argv = ["videovault.gateways.probe_child", container, str(source.size())]
            sandbox.run_child(argv, source, until, found.hear)
    except (ChildFailed, ObjectReadFailed, OSError) as error:
        log.warning("probe cut short", reason=str(error) or type(error).__name__)
    return found.result()


class _Findings:
    """What the child has said so far; of several posters, the last one counts."""

    def __init__(self) -> None:
        self._is_complete: bool | None = None
        self._description: MediaInfo | None = None
        self._poster: bytes | None = None

    def result(self) -> ProbeResult | None:
        if self._is_complete is False:
            return ProbeResult(is_complete=False)
        if self._description is None:
            return None
        return ProbeResult(
            **self._description.model_dump(), poster=self._poster, is_complete=self._is_complete
        )

    def hear(self, said: dict[str, Any]) -> None:
        if "complete" in said:
            self._is_complete = None if said["complete"] is None else said["complete"] is True
        elif "described" in said:
            self._description = MediaInfo.model_validate(said["described"])
        elif "poster" in said:
            self._poster = _webp(said["poster"])
        else:
            log.info("probe failed", reason=str(said["failed"])[:200])


def _webp(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise ChildFailed("its poster is no WebP image")
    return data
