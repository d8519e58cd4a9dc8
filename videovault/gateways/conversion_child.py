"""The child process of ``conversion``: makes a file that browsers play of a video whose bytes it may only ask for.

It says ``{"write": [offset, …]}`` for the bytes of the new file, not all of them in order, and at the end ``{"done":
true}`` or ``{"failed": …}``.
"""

from __future__ import annotations

import base64
import io
import json
import os
import resource
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videovault.gateways.sandbox_child import (
    DEMUXERS,
    LIMITS,
    MAX_PIXELS,
    MEDIA_ERRORS,
    NO_PROTOCOLS,
    ParentFile,
    confine,
    main_video_stream,
    preload_modules,
    send_message,
    square_pixel_size,
)

if TYPE_CHECKING:
    Packet = av.Packet[Any]

LONG_SIDE, SHORT_SIDE = 1920, 1080  # 1080p, also upright
MAX_FRAME_RATE = 60
KEY_FRAME_SECONDS = 2
TICKS = 90_000  # a second, as in most containers of broadcast
MAX_REORDERED = 32  # more than any codec reorders
MAX_BROKEN_PACKETS = 1_000  # packets that cannot be decoded are left out
# One thread, since the child can start no other. 8 Mbit/s is what streaming services use for 1080p.
H264 = {
    "preset": "veryfast",
    "crf": "23",
    "profile": "high",
    "maxrate": "8M",
    "bufsize": "16M",
    "threads": "1",
    "x264-params": "threads=1:sync-lookahead=0:rc-lookahead=20",
}
SAMPLE_RATE = 48_000
MAX_AUDIO_DRIFT_SECONDS = 0.1  # between what sound's own times say and what its samples amount to
AUDIO_ENCODERS = {"aac": ("aac", 128_000), "opus": ("libopus", 96_000)}
# What the index of an MP4 takes in the worst case for each picture, and for a second of sound.
INDEX_BYTES_A_FRAME, INDEX_BYTES_A_SECOND, INDEX_BYTES_MORE = 40, 2_000, 65_536
CUE_BYTES_A_SECOND = 64


def main() -> None:
    asked = json.loads(sys.argv[1])
    preload_modules()
    os.nice(10)  # transfers and pages come first
    confine({**LIMITS, resource.RLIMIT_CPU: asked["cpu_seconds"]})
    try:
        with av.open(
            ParentFile(asked["size"]), "r", format=DEMUXERS[asked["container"]], options=NO_PROTOCOLS
        ) as source:
            convert(source, asked)
    except MEDIA_ERRORS as error:
        send_message({"failed": f"{type(error).__name__}: {error}"})
    else:
        send_message({"done": True})


def convert(source: InputContainer, asked: dict[str, Any]) -> None:
    """Write the file that ``asked["recipe"]`` describes."""
    video = main_video_stream(source)
    if video is None or video.codec_context is None:
        raise ValueError("there is no picture")
    if video.width * video.height > MAX_PIXELS:
        raise ValueError("the picture is too large")
    recipe, begin = asked["recipe"], Fraction(source.start_time or 0, av.time_base)
    streams: list[Any] = [video]
    options = _index_first(recipe["container"], asked["duration"], video)
    with av.open(_ParentOutput(), "w", format=recipe["container"], options=options) as target:
        tracks: dict[int, _Track] = {
            video.index: _Copied(target, video, begin)
            if recipe["video"] == "copy"
            else _Pictures(target, video, begin, asked["rotation"])
        }
        if recipe["audio"]:
            sound = source.streams.audio[0]
            streams.append(sound)
            tracks[sound.index] = (
                _Copied(target, sound, begin)
                if recipe["audio"] == "copy"
                else _Sound(target, sound, begin, recipe["audio"])
            )
        target.start_encoding()
        for packet in source.demux(streams):
            target.mux(list(tracks[packet.stream.index].take(packet)))
        if not all(track.has_any for track in tracks.values()):
            raise ValueError("nothing could be read of it")


def _index_first(container: str, duration: float | None, video: VideoStream) -> dict[str, str]:
    """Options that leave room at the beginning for what is known at the end."""
    if duration is None:
        return {}
    if container == "webm":
        return {"reserve_index_space": str(4096 + round(duration * CUE_BYTES_A_SECOND))}
    rate = float(video.average_rate or video.guessed_rate or MAX_FRAME_RATE)
    a_second = min(max(rate, 1.0), 1000.0) * 1.25 * INDEX_BYTES_A_FRAME + INDEX_BYTES_A_SECOND
    return {"moov_size": str(INDEX_BYTES_MORE + round(duration * a_second))}


class _ParentOutput:
    """The new file as FFmpeg writes files: the parent keeps it."""

    name = "copy"

    def __init__(self) -> None:
        self._at, self._size = 0, 0

    def write(self, data: bytes) -> int:
        send_message({"write": [self._at, base64.b64encode(data).decode()]})
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at


class _Track:
    """One stream on its way; ``take`` gives the packets to be written, an empty packet is the last one."""

    has_any = False

    def take(self, packet: Packet) -> Iterator[Packet]:
        raise NotImplementedError


class _Copied(_Track):
    """The same bytes in another container."""

    def __init__(self, target: OutputContainer, stream: Any, begin: Fraction) -> None:
        self._out = target.add_stream_from_template(stream, opaque=True)
        self._shift = round(begin / stream.time_base)
        self._early: list[Packet] = []

    def take(self, packet: Packet) -> Iterator[Packet]:
        if packet.size and packet.dts is None:  # as Matroska begins, which keeps the times of showing only
            self._early.append(packet)
            if len(self._early) > MAX_REORDERED:
                raise ValueError("its packets have no times")
            return
        for each in (*_timed(self._early, packet), packet):
            if each.size:
                yield self._moved(each)
        self._early = []

    def _moved(self, packet: Packet) -> Packet:
        if packet.pts is None or packet.dts is None:
            raise ValueError("a packet has no time")
        packet.pts, packet.dts = packet.pts - self._shift, packet.dts - self._shift
        packet.stream = self._out
        self.has_any = True
        return packet


def _timed(early: list[Packet], following: Packet) -> list[Packet]:
    """Packets without a time of decoding, counted back from the one that follows."""
    at = following.dts if following.dts is not None else max((each.pts or 0 for each in early), default=0)
    for packet in reversed(early):
        at -= max(1, packet.duration or 0)
        packet.dts = at
    return early


class _Encoded(_Track):
    """Decoded and encoded again; what cannot be decoded is left out."""

    def __init__(self, stream: Any, begin: Fraction) -> None:
        self._stream, self._begin, self._broken = stream, begin, 0
        self._out: Any = None

    def take(self, packet: Packet) -> Iterator[Packet]:
        for frame in self._decoded(packet):
            for ready in self._wanted(frame):
                self.has_any = True
                yield from self._out.encode(ready)
        if not packet.size:
            yield from self._out.encode(None)

    def _decoded(self, packet: Packet) -> list[Any]:
        try:
            return list(packet.decode())
        except av.InvalidDataError:
            self._broken += 1
            if self._broken > MAX_BROKEN_PACKETS:
                raise
            return []

    def _wanted(self, frame: Any) -> list[Any]:
        raise NotImplementedError


class _Pictures(_Encoded):
    """H.264, at most 1080p at 60 frames a second, in square pixels; turned by a mark, as in the original."""

    def __init__(self, target: OutputContainer, stream: VideoStream, begin: Fraction, rotation: int) -> None:
        super().__init__(stream, begin)
        stream.thread_type = "NONE"
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        rate = min(stream.average_rate or stream.guessed_rate or Fraction(30), Fraction(MAX_FRAME_RATE))
        self._size = _bounded(*square_pixel_size((stream.width, stream.height), stream))
        options = {**H264, "g": str(max(1, round(rate * KEY_FRAME_SECONDS)))}
        self._out = target.add_stream("libx264", rate=rate.limit_denominator(1001), options=options)
        self._out.width, self._out.height = self._size
        self._out.pix_fmt = "yuv420p"
        self._out.codec_context.time_base = Fraction(1, TICKS)
        if (stream.codec_context.pix_fmt or "").startswith("yuv"):  # else the colours are converted
            for name in ("color_primaries", "color_trc", "colorspace"):
                setattr(self._out.codec_context, name, getattr(stream.codec_context, name))
        if rotation:
            self._out.set_display_rotation(rotation)
        self._next = 0
        self._each = 1 / (stream.average_rate or rate)
        # AVI knows the order of decoding only, and how many pictures a second has.
        self._counted = Fraction(0) if stream.container.format.name == "avi" else None

    def _wanted(self, frame: VideoFrame) -> list[VideoFrame]:
        if self._counted is not None:
            at, self._counted = round(self._counted * TICKS), self._counted + self._each
        elif frame.pts is None or frame.time_base is None:
            return []
        else:
            at = round((frame.pts * frame.time_base - self._begin) * TICKS)
        if at < self._next:
            return []
        self._next = at + TICKS // MAX_FRAME_RATE - TICKS // 1000
        ready = frame.reformat(*self._size, "yuv420p")
        ready.pts, ready.time_base = at, Fraction(1, TICKS)
        ready.pict_type = 0  # the encoder chooses
        return [ready]


class _Sound(_Encoded):
    """In stereo at 48 kHz, timed by its samples: containers round the times of sound, or get them wrong."""

    def __init__(self, target: OutputContainer, stream: Any, begin: Fraction, codec: str) -> None:
        super().__init__(stream, begin)
        name, bit_rate = AUDIO_ENCODERS[codec]
        self._out = target.add_stream(name, rate=SAMPLE_RATE, layout="stereo")
        self._out.bit_rate = bit_rate
        self._next = Fraction(0)  # in samples of the copy

    def _wanted(self, frame: AudioFrame) -> list[AudioFrame]:
        if frame.pts is not None and frame.time_base is not None:
            told = (frame.pts * frame.time_base - self._begin) * SAMPLE_RATE
            if told < self._next - MAX_AUDIO_DRIFT_SECONDS * SAMPLE_RATE:
                return []
            if told > self._next + MAX_AUDIO_DRIFT_SECONDS * SAMPLE_RATE:
                self._next = told  # silence in between
        frame.pts, frame.time_base = round(self._next), Fraction(1, SAMPLE_RATE)
        self._next += Fraction(frame.samples * SAMPLE_RATE, frame.sample_rate)
        return [frame]


def _bounded(width: float, height: float) -> tuple[int, int]:
    scale = min(1.0, LONG_SIDE / max(width, height), SHORT_SIDE / min(width, height))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


if __name__ == "__main__":
    main()
