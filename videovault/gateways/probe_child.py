"""The child process of ``probe``: confines itself, then looks at a video whose bytes it may only ask its parent for.

It says lines of JSON: ``{"read": [start, count]}``, answered by a length and so many bytes; ``{"described": …}``,
once or again when more is known; at last ``{"poster": …}``, or ``{"failed": …}`` wherever it comes to that.
"""

import base64
import importlib
import io
import json
import os
import pkgutil
import resource
import struct
import sys
from collections import OrderedDict
from typing import Any, cast

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

POSTER_WIDTH, POSTER_MOST_HEIGHT = 640, 1280
POSTER_AT = 0.1  # of the duration: past a black or empty start
MOST_PIXELS = 64 * 1000**2  # 8K is 33 million
BLOCK_BYTES, MOST_BLOCKS = 128 * 1024, 64
LENGTH = struct.Struct("!i")
DEMUXERS = {"mp4": "mov", "mov": "mov", "webm": "matroska", "mkv": "matroska", "avi": "avi", "ts": "mpegts"}
LIMITS = {
    resource.RLIMIT_CPU: 20,
    resource.RLIMIT_AS: 3 * 1024**3 // 2,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NPROC: 0,
    # Standard input, output and error are open; nothing else ever will be, no file, no connection.
    resource.RLIMIT_NOFILE: 3,
}
# FFmpeg's playlists and concatenations can name files and other hosts. No protocol has this name.
NOWHERE = {"protocol_whitelist": "none"}
NOT_NEEDED = {"av.__main__", "av.datasets"}
BROKEN = (av.FFmpegError, MemoryError, ValueError, OSError)


def main() -> None:
    demuxer, size = DEMUXERS[sys.argv[1]], int(sys.argv[2])
    load_everything()
    confine()
    try:
        with av.open(ParentFile(size), "r", format=demuxer, options=NOWHERE) as container:
            look_at(container)
    except BROKEN as error:
        say({"failed": f"{type(error).__name__}: {error}"})


def look_at(container: InputContainer) -> None:
    """Say what the video is, then try for its poster."""
    video = _picture(container)
    description = _described(container, video)
    say({"described": description})
    image, rotation = _poster(container, video)
    if rotation % 180:
        turned = {"width": description["height"], "height": description["width"]}
        say({"described": description | turned})
    say({"poster": base64.b64encode(_webp(image)).decode()})


def load_everything() -> None:
    """Import what PyAV and Pillow would import when they need it: then no file can be opened any more."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in NOT_NEEDED:
            importlib.import_module(module.name)
    importlib.import_module("PIL.WebPImagePlugin")  # or Pillow would import all its formats to find this one
    _webp(Image.new("RGB", (1, 1)))


def confine() -> None:
    """Give up for good what looking at a video does not need."""
    for limit, value in LIMITS.items():
        try:
            resource.setrlimit(limit, (value, value))
        except (ValueError, OSError):
            if sys.platform == "linux":
                raise  # macOS knows some limits by name only


def say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class ParentFile:
    """The video as FFmpeg reads files; the blocks used last are kept."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def read(self, count: int) -> bytes:
        number, offset = divmod(self._at, BLOCK_BYTES)
        data = self._block(number)[offset : offset + count] if self._at < self._size else b""
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            self._blocks[number] = ask(number * BLOCK_BYTES, BLOCK_BYTES)
            if len(self._blocks) > MOST_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]


def ask(start: int, count: int) -> bytes:
    """Bytes of the video from the parent. Ends the process when the parent has left."""
    say({"read": [start, count]})
    head = sys.stdin.buffer.read(LENGTH.size)
    if len(head) < LENGTH.size:
        sys.exit(1)
    return sys.stdin.buffer.read(LENGTH.unpack(head)[0])


def _picture(container: InputContainer) -> VideoStream | None:
    """The stream that moves: a cover picture is none."""
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    return moving[0] if moving else None


def _described(container: InputContainer, video: VideoStream | None) -> dict[str, Any]:
    duration = container.duration / av.time_base if container.duration else 0
    audio = container.streams.audio[0] if container.streams.audio else None
    return {
        "duration": round(duration, 3) if duration > 0 else None,
        "width": video.width or None if video else None,
        "height": video.height or None if video else None,
        "video_codec": _codec(video),
        "audio_codec": _codec(audio),
    }


def _codec(stream: Any) -> str | None:
    """By FFmpeg's name of the format, such as h264; None for one that it does not know."""
    context = stream.codec_context if stream else None
    return str(context.codec.canonical_name) if context else None


def _poster(container: InputContainer, video: VideoStream | None) -> tuple[Image.Image, int]:
    """An early picture in its display shape, and the quarter turns of the video in degrees."""
    if video is None or video.codec_context is None:
        raise ValueError("there is no picture")
    if video.width * video.height > MOST_PIXELS:
        raise ValueError("the picture is too large")
    video.thread_type = "NONE"
    video.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    frame = _frame(container, video)
    rotation = frame.rotation
    return _shrunk(frame, video, rotation), rotation


def _frame(container: InputContainer, video: VideoStream) -> VideoFrame:
    """One from a tenth of the duration, else the first that there is."""
    if container.duration:
        try:
            container.seek(int(container.duration * POSTER_AT))
            return next(container.decode(video))
        except (*BROKEN, StopIteration):
            container.seek(0)
    found = next(container.decode(video), None)
    if found is None:
        raise ValueError("there is no picture")
    return found


def _shrunk(frame: VideoFrame, video: VideoStream, rotation: int) -> Image.Image:
    """Upright, POSTER_WIDTH wide unless that makes it too tall."""
    stretch = float(video.sample_aspect_ratio or 1)
    width, height = frame.width * (stretch if 0.1 < stretch < 10 else 1.0), float(frame.height)
    turned = bool(rotation % 180)
    shown_width, shown_height = (height, width) if turned else (width, height)
    scale = min(POSTER_WIDTH / shown_width, POSTER_MOST_HEIGHT / shown_height)
    small = frame.reformat(max(1, round(width * scale)), max(1, round(height * scale)), "rgb24")
    image = cast("Image.Image", small.to_image())  # type: ignore[no-untyped-call] # PyAV's gap
    return image.rotate(rotation, expand=True) if rotation else image


def _webp(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=80)
    return out.getvalue()


if __name__ == "__main__":
    main()
    os._exit(0)  # all is said, and the interpreter's teardown takes as long as the poster
