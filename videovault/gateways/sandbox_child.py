"""Shared code of the sandboxed children: they confine themselves, then request bytes from the parent.

They send lines of JSON. The parent answers ``{"read": [start, count]}`` with a length and that many bytes.
"""

import importlib
import io
import json
import pkgutil
import resource
import struct
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from PIL import Image

from videovault.gateways.container import Span

MAX_PIXELS = 64 * 1000**2  # 8K is 33 million
BLOCK_BYTES, MAX_BLOCKS = 128 * 1024, 64
LENGTH = struct.Struct("!i")
DEMUXERS = {"mp4": "mov", "mov": "mov", "webm": "matroska", "mkv": "matroska", "avi": "avi", "ts": "mpegts"}
LIMITS = {
    resource.RLIMIT_CPU: 20,
    resource.RLIMIT_AS: 3 * 1024**3 // 2,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NPROC: 0,
    # Standard input, output and error are open; no file or connection can be opened.
    resource.RLIMIT_NOFILE: 3,
}
# FFmpeg's playlists and concatenations can name files and other hosts. No protocol is called "none".
NO_PROTOCOLS = {"protocol_whitelist": "none"}
SKIPPED_MODULES = {"av.__main__", "av.datasets"}
MEDIA_ERRORS = (av.FFmpegError, MemoryError, ValueError, OSError)


def preload_modules() -> None:
    """Import what PyAV and Pillow import lazily, since no file can be opened later."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in SKIPPED_MODULES:
            importlib.import_module(module.name)
    importlib.import_module("PIL.WebPImagePlugin")  # otherwise Pillow would import all its formats
    encode_webp(Image.new("RGB", (1, 1)))


def confine(limits: Mapping[int, int] = LIMITS) -> None:
    """Irrevocably drop the rights that probing and converting do not need."""
    for limit, value in limits.items():
        try:
            resource.setrlimit(limit, (value, value))
        except (ValueError, OSError):
            if sys.platform == "linux":
                raise  # macOS does not support all limits


def send_message(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Seekable:
    """The position of a file object for FFmpeg."""

    def __init__(self, size: int = 0) -> None:
        self._size = size
        self._at = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at


class ParentFile(Seekable):
    """A file object for FFmpeg over the video, or over ``spans`` of it joined; caches the last blocks."""

    def __init__(self, size: int, spans: Sequence[Span] | None = None) -> None:
        self._spans = [(0, size)] if spans is None else list(spans)
        super().__init__(sum(end - start for start, end in self._spans))
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def read(self, count: int) -> bytes:
        start, left = self._locate()
        number, offset = divmod(start, BLOCK_BYTES)
        data = self._block(number)[offset : offset + min(count, left)] if left > 0 else b""
        self._at += len(data)
        return data

    def _locate(self) -> tuple[int, int]:
        """The offset of the next byte in the video, and how many bytes are left in its span."""
        at = self._at
        for start, end in self._spans:
            if at < end - start:
                return start + at, end - start - at
            at -= end - start
        return 0, 0

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            self._blocks[number] = request_bytes(number * BLOCK_BYTES, BLOCK_BYTES)
            if len(self._blocks) > MAX_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]


def request_bytes(start: int, count: int) -> bytes:
    """Request bytes of the video from the parent. Exits when the parent has ended."""
    send_message({"read": [start, count]})
    head = sys.stdin.buffer.read(LENGTH.size)
    if len(head) < LENGTH.size:
        sys.exit(1)
    return sys.stdin.buffer.read(LENGTH.unpack(head)[0])


def open_media(kind: str, size: int, spans: Sequence[Span] | None = None) -> InputContainer:
    """The video, or ``spans`` of it joined; ``kind`` as ``detect_container`` names it. Raises MEDIA_ERRORS."""
    return av.open(ParentFile(size, spans), "r", format=DEMUXERS[kind], options=NO_PROTOCOLS)


def check_decodable(video: VideoStream | None) -> VideoStream:
    """The stream if it may be decoded. Raises ValueError."""
    if video is None or video.codec_context is None:
        raise ValueError("there is no picture")
    if video.width * video.height > MAX_PIXELS:
        raise ValueError("the picture is too large")
    return video


def limit_decoder(video: VideoStream) -> None:
    """One thread, since the child cannot start others, and no larger frames than MAX_PIXELS."""
    video.thread_type = "NONE"
    video.codec_context.options = {"max_pixels": str(MAX_PIXELS)}


def main_video_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that is not a cover picture."""
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    return moving[0] if moving else None


def square_pixel_size(frame_size: tuple[int, int], video: VideoStream) -> tuple[float, float]:
    """Width and height of a frame in square pixels."""
    stretch = float(video.sample_aspect_ratio or 1)
    return frame_size[0] * (stretch if 0.1 < stretch < 10 else 1.0), float(frame_size[1])


def encode_webp(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=80)
    return out.getvalue()
