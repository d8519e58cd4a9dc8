"""Probe a stored video for duration, dimensions, codecs, completeness and a poster, in a sandboxed child process.

The child's messages are untrusted and validated.
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
# Each probe decodes a frame in its own process. A video that gets no slot in time is stored without a poster.
probe_slots = Bulkhead(at_once=CPU_CONCURRENCY, waiting=64, seconds=300.0)

# FFmpeg's names are ASCII. Building a pattern that repeats Unicode's \w up to 60 times would take 30 ms at import.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=32)]
Profile = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,:+() @-]+$", max_length=60)]
Pixels = Annotated[int, Field(ge=1, le=65536)]

log = logs.get(__name__)


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
    url: str, container: str, *, seconds: float = DEADLINE_SECONDS, budget: int = BUDGET_BYTES
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
            sandbox.run_child(argv, source, until, found.on_message)
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
