"""The child process of ``conversion``: converts a video whose bytes it can only request from its parent.

It sends ``{"write": [offset, …]}`` for the bytes of the new file, not always in order, and at the end ``{"done":
true}`` or ``{"failed": …}``.
"""

from __future__ import annotations

import base64
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
    LIMITS,
    MEDIA_ERRORS,
    Seekable,
    check_decodable,
    confine,
    limit_decoder,
    main_video_stream,
    open_media,
    preload_modules,
    send_message,
    square_pixel_size,
)

if TYPE_CHECKING:
    Packet = av.Packet[Any]

LONG_SIDE, SHORT_SIDE = 1920, 1080  # 1080p, also upright
MAX_FRAME_RATE = 60
KEY_FRAME_SECONDS = 2
TICKS = 90_000  # per second, as in MPEG-TS
MAX_REORDERED = 32  # packets, more than any codec reorders
MAX_BROKEN_PACKETS = 1_000  # packets that cannot be decoded are skipped
# One thread, since the child cannot start others. 8 Mbit/s is common for 1080p streaming.
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
MAX_AUDIO_DRIFT_SECONDS = 0.1  # between audio timestamps and the count of samples
AUDIO_ENCODERS = {"aac": ("aac", 128_000), "opus": ("libopus", 96_000)}
# Worst-case size of an MP4 index, per frame and per second of audio.
INDEX_BYTES_PER_FRAME, INDEX_BYTES_PER_SECOND, INDEX_BASE_BYTES = 40, 2_000, 65_536
CUE_BYTES_PER_SECOND = 64


def main() -> None:
    request = json.loads(sys.argv[1])
    preload_modules()
    os.nice(10)  # transfers and pages come first
    confine({**LIMITS, resource.RLIMIT_CPU: request["cpu_seconds"]})
    try:
        with open_media(request["container"], request["size"]) as source:
            convert(source, request)
    except MEDIA_ERRORS as error:
        send_message({"failed": f"{type(error).__name__}: {error}"})
    else:
        send_message({"done": True})


def convert(source: InputContainer, request: dict[str, Any]) -> None:
    """Write the file that ``request["recipe"]`` describes."""
    video = check_decodable(main_video_stream(source))
    recipe, begin = request["recipe"], Fraction(source.start_time or 0, av.time_base)
    streams: list[Any] = [video]
    options = _index_space_options(recipe["container"], request["duration"], video)
    with av.open(_ParentOutput(), "w", format=recipe["container"], options=options) as target:
        tracks: dict[int, _CopiedTrack | _EncodedTrack] = {
            video.index: _CopiedTrack(target, video, begin)
            if recipe["video"] == "copy"
            else _VideoTrack(target, video, begin, request["rotation"])
        }
        if recipe["audio"]:
            audio = source.streams.audio[0]
            streams.append(audio)
            tracks[audio.index] = (
                _CopiedTrack(target, audio, begin)
                if recipe["audio"] == "copy"
                else _AudioTrack(target, begin, recipe["audio"])
            )
        target.start_encoding()
        for packet in source.demux(streams):
            target.mux(list(tracks[packet.stream.index].take(packet)))
        if not all(track.has_any for track in tracks.values()):
            raise ValueError("no stream could be read")


def _index_space_options(container: str, duration: float | None, video: VideoStream) -> dict[str, str]:
    """Options that reserve space for the index at the start of the file."""
    if duration is None:
        return {}
    if container == "webm":
        return {"reserve_index_space": str(4096 + round(duration * CUE_BYTES_PER_SECOND))}
    rate = float(video.average_rate or video.guessed_rate or MAX_FRAME_RATE)
    bytes_per_second = min(max(rate, 1.0), 1000.0) * 1.25 * INDEX_BYTES_PER_FRAME + INDEX_BYTES_PER_SECOND
    return {"moov_size": str(INDEX_BASE_BYTES + round(duration * bytes_per_second))}


class _ParentOutput(Seekable):
    """A file object for FFmpeg whose bytes are sent to the parent."""

    name = "copy"

    def write(self, data: bytes) -> int:
        send_message({"write": [self._at, base64.b64encode(data).decode()]})
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)


class _CopiedTrack:
    """Copies packets unchanged into the new container.

    ``take`` yields the packets to write, here and in _EncodedTrack; an empty packet ends the stream.
    """

    has_any = False

    def __init__(self, target: OutputContainer, stream: Any, begin: Fraction) -> None:
        self._out = target.add_stream_from_template(stream, opaque=True)
        self._shift = round(begin / stream.time_base)
        self._untimed: list[Packet] = []

    def take(self, packet: Packet) -> Iterator[Packet]:
        # At the start of Matroska, which stores presentation times only.
        if packet.size and packet.dts is None:
            self._untimed.append(packet)
            if len(self._untimed) > MAX_REORDERED:
                raise ValueError("its packets have no timestamps")
            return
        for each in (*_with_decoding_times(self._untimed, packet), packet):
            if each.size:
                yield self._shifted(each)
        self._untimed = []

    def _shifted(self, packet: Packet) -> Packet:
        if packet.pts is None or packet.dts is None:
            raise ValueError("a packet has no timestamp")
        packet.pts, packet.dts = packet.pts - self._shift, packet.dts - self._shift
        packet.stream = self._out
        self.has_any = True
        return packet


def _with_decoding_times(untimed: list[Packet], following: Packet) -> list[Packet]:
    """Set missing decoding times by counting back from the following packet."""
    at = following.dts if following.dts is not None else max((each.pts or 0 for each in untimed), default=0)
    for packet in reversed(untimed):
        at -= max(1, packet.duration or 0)
        packet.dts = at
    return untimed


class _EncodedTrack:
    """Decodes and re-encodes; skips packets that cannot be decoded."""

    has_any = False
    _out: Any

    def __init__(self, begin: Fraction) -> None:
        self._begin, self._broken = begin, 0

    def take(self, packet: Packet) -> Iterator[Packet]:
        for frame in self._decode(packet):
            for output_frame in self._convert_frame(frame):
                self.has_any = True
                yield from self._out.encode(output_frame)
        if not packet.size:
            yield from self._out.encode(None)

    def _decode(self, packet: Packet) -> list[Any]:
        try:
            return list(packet.decode())
        except av.InvalidDataError:
            self._broken += 1
            if self._broken > MAX_BROKEN_PACKETS:
                raise
            return []

    def _convert_frame(self, frame: Any) -> list[Any]:
        raise NotImplementedError


class _VideoTrack(_EncodedTrack):
    """H.264 of at most 1080p at 60 frames per second, with square pixels and the original's rotation flag."""

    def __init__(self, target: OutputContainer, stream: VideoStream, begin: Fraction, rotation: int) -> None:
        super().__init__(begin)
        limit_decoder(stream)
        rate = min(stream.average_rate or stream.guessed_rate or Fraction(30), Fraction(MAX_FRAME_RATE))
        self._size = _limit_size(*square_pixel_size((stream.width, stream.height), stream))
        options = {**H264, "g": str(max(1, round(rate * KEY_FRAME_SECONDS)))}
        self._out = target.add_stream("libx264", rate=rate.limit_denominator(1001), options=options)
        self._out.width, self._out.height = self._size
        self._out.pix_fmt = "yuv420p"
        self._out.codec_context.time_base = Fraction(1, TICKS)
        if (stream.codec_context.pix_fmt or "").startswith("yuv"):  # otherwise the colours are converted
            for name in ("color_primaries", "color_trc", "colorspace"):
                setattr(self._out.codec_context, name, getattr(stream.codec_context, name))
        if rotation:
            self._out.set_display_rotation(rotation)
        self._next_time = 0
        self._frame_seconds = 1 / (stream.average_rate or rate)
        # AVI has only the decoding order and a constant frame rate.
        self._counted_time = Fraction(0) if stream.container.format.name == "avi" else None

    def _convert_frame(self, frame: VideoFrame) -> list[VideoFrame]:
        if self._counted_time is not None:
            at, self._counted_time = (
                round(self._counted_time * TICKS),
                self._counted_time + self._frame_seconds,
            )
        elif frame.pts is None or frame.time_base is None:
            return []
        else:
            at = round((frame.pts * frame.time_base - self._begin) * TICKS)
        if at < self._next_time:
            return []
        self._next_time = at + TICKS // MAX_FRAME_RATE - TICKS // 1000
        output_frame = frame.reformat(*self._size, "yuv420p")
        output_frame.pts, output_frame.time_base = at, Fraction(1, TICKS)
        output_frame.pict_type = 0  # the encoder chooses
        return [output_frame]


class _AudioTrack(_EncodedTrack):
    """Stereo audio at 48 kHz, timed by its samples, since containers round audio timestamps or get them wrong."""

    def __init__(self, target: OutputContainer, begin: Fraction, codec: str) -> None:
        super().__init__(begin)
        name, bit_rate = AUDIO_ENCODERS[codec]
        self._out = target.add_stream(name, rate=SAMPLE_RATE, layout="stereo")
        self._out.bit_rate = bit_rate
        self._next_time = Fraction(0)  # in samples of the output

    def _convert_frame(self, frame: AudioFrame) -> list[AudioFrame]:
        if frame.pts is not None and frame.time_base is not None:
            timestamp = (frame.pts * frame.time_base - self._begin) * SAMPLE_RATE
            if timestamp < self._next_time - MAX_AUDIO_DRIFT_SECONDS * SAMPLE_RATE:
                return []
            if timestamp > self._next_time + MAX_AUDIO_DRIFT_SECONDS * SAMPLE_RATE:
                self._next_time = timestamp  # a gap of silence
        frame.pts, frame.time_base = round(self._next_time), Fraction(1, SAMPLE_RATE)
        self._next_time += Fraction(frame.samples * SAMPLE_RATE, frame.sample_rate)
        return [frame]


def _limit_size(width: float, height: float) -> tuple[int, int]:
    scale = min(1.0, LONG_SIDE / max(width, height), SHORT_SIDE / min(width, height))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


if __name__ == "__main__":
    main()
