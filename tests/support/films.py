"""Small real videos of every kind, encoded once per process, and functions that damage them."""

import io
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av

from tests.support.waiting import HANG_SECONDS

ROOT = Path(__file__).parent.parent.parent
UNPRIVILEGED = 65534
AV1 = f"""
import os, sys
from tests.support.films import film
if os.geteuid() == 0:
    os.setuid({UNPRIVILEGED})
sys.stdout.buffer.write(film(codec="libsvtav1"))
"""
RED, BLUE, BLACK = (81, 90, 240), (41, 240, 110), (16, 128, 128)  # Y, Cb, Cr


@cache
def film(
    file_format: str = "mp4",
    codec: str | None = "libx264",
    *,
    size: tuple[int, int] = (160, 90),
    frames: int = 20,
    audio: str | None = None,
    rotation: int = 0,
    aspect: Fraction | None = None,
    pix_fmt: str = "yuv420p",
    black: int = 0,
    **options: str,
) -> bytes:
    """Ten frames a second, the upper half red, the lower half blue; silence of the same length for sound.

    The first ``black`` frames are black. The same film is encoded only once.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=file_format, options=options) as container:
        streams: list[Any] = []
        if codec:
            stream: Any = container.add_stream(codec, rate=10)
            (stream.width, stream.height), stream.pix_fmt = size, pix_fmt
            if rotation:
                stream.set_display_rotation(rotation)
            if aspect:
                stream.codec_context.sample_aspect_ratio = aspect
            streams.append(
                (stream, [_picture(size, number, pix_fmt, number < black) for number in range(frames)])
            )
        if audio:
            strictly = {"strict": "experimental"} if audio == "vorbis" else {}
            sound: Any = container.add_stream(audio, rate=48000, options=strictly)
            streams.append((sound, [_silence(number) for number in range(frames * 4800 // 1024)]))
        container.start_encoding()
        for stream, all_frames in streams:
            for frame in all_frames:
                container.mux(stream.encode(frame))
            if all_frames:
                container.mux(stream.encode())
    assert not _is_real_time(), f"{codec} has made this thread a real-time one, which starves all others"
    return file.getvalue()


def av1() -> bytes:
    """Encoded in a process of another user: run by root, SVT-AV1 makes the calling thread a real-time thread."""
    return subprocess.check_output([sys.executable, "-c", AV1], cwd=ROOT, timeout=HANG_SECONDS)


def _is_real_time() -> bool:
    return sys.platform == "linux" and os.sched_getscheduler(0) != os.SCHED_OTHER


def with_padding(mp4: bytes, size: int) -> bytes:
    """The same MP4 with a box of padding before its index, which comes last."""
    at = mp4.rindex(b"moov") - 4
    return mp4[:at] + struct.pack(">I4s", size, b"free") + bytes(size - 8) + mp4[at:]


def without_pictures(mp4: bytes) -> bytes:
    """The same MP4 with zeros in place of its frames."""
    start, end = mp4.index(b"mdat") + 4, mp4.rindex(b"moov") - 4
    return mp4[:start] + bytes(end - start) + mp4[end:]


def claiming(video: bytes, *, size: tuple[int, int], was: tuple[int, int]) -> bytes:
    """PNG pictures in a MOV that claim to be of another size."""
    before, after = (b"IHDR" + struct.pack(">II", *pair) for pair in (was, size))
    assert before in video
    return video.replace(before, after)


def _picture(size: tuple[int, int], number: int, pix_fmt: str, is_black: bool) -> av.VideoFrame:
    frame = av.VideoFrame(*size, "yuv420p")
    colours = (BLACK, BLACK) if is_black else (RED, BLUE)
    for plane, red, blue in zip(frame.planes, *colours, strict=True):
        rows = plane.buffer_size // plane.line_size
        upper = bytes([red]) * (plane.line_size * (rows // 2))
        plane.update(upper + bytes([blue]) * (plane.buffer_size - len(upper)))
    if pix_fmt != "yuv420p":
        frame = frame.reformat(format=pix_fmt)
    frame.pts, frame.time_base = number, Fraction(1, 10)
    return frame


def _silence(number: int) -> av.AudioFrame:
    frame = av.AudioFrame("fltp", "stereo", 1024)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate, frame.pts = 48000, number * 1024
    return frame


@cache
def of_a_kind(name: str) -> bytes:
    """Two seconds of one of KINDS, made once."""
    return KINDS[name].make()


@dataclass(frozen=True)
class Kind:
    """``plays`` is its playback; ``copied`` the container and codecs of its playable copy, if it needs one."""

    make: Callable[[], bytes]
    plays: str
    copied: tuple[str, str, str | None] | None = None


TEN_BITS, RGB = "yuv420p10le", "rgb24"
AS_MP4 = ("mp4", "h264", "aac")
KINDS: dict[str, Kind] = {
    "H.264 and AAC in MP4": Kind(lambda: film(audio="aac"), "everywhere"),
    "H.264 and MP3 in MP4": Kind(lambda: film(audio="libmp3lame"), "everywhere"),
    "H.264 in fragmented MP4": Kind(
        lambda: film(movflags="frag_keyframe+empty_moov+default_base_moof"), "everywhere"
    ),
    "H.264 and AAC in MOV": Kind(lambda: film("mov", audio="aac"), "everywhere"),
    "AV1 in MP4": Kind(av1, "everywhere"),
    "VP9 and Opus in MP4": Kind(lambda: film(codec="libvpx-vp9", audio="libopus"), "everywhere"),
    "VP8 and Vorbis in WebM": Kind(lambda: film("webm", "libvpx", audio="vorbis"), "everywhere"),
    "VP9 and Opus in WebM": Kind(lambda: film("webm", "libvpx-vp9", audio="libopus"), "everywhere"),
    "WebM recorded by a browser": Kind(
        lambda: film("webm", "libvpx", audio="libopus", live="1"), "no_duration", ("webm", "vp8", "opus")
    ),
    "HEVC in MP4": Kind(lambda: film(codec="libx265", audio="aac"), "limited", AS_MP4),
    "HEVC in MOV, upright": Kind(
        lambda: film("mov", "libx265", rotation=90), "limited", ("mp4", "h264", None)
    ),
    "ProRes and PCM in MOV": Kind(
        lambda: film("mov", "prores_ks", audio="pcm_s16le", pix_fmt="yuv422p10le"), "limited", AS_MP4
    ),
    "H.264 of 10 bits in MP4": Kind(lambda: film(pix_fmt=TEN_BITS, audio="aac"), "limited", AS_MP4),
    "H.264 4:4:4 in MP4": Kind(lambda: film(pix_fmt="yuv444p"), "limited", ("mp4", "h264", None)),
    "H.264 and AC-3 in MP4": Kind(lambda: film(audio="ac3"), "limited", AS_MP4),
    "H.264 and PCM in MOV": Kind(lambda: film("mov", audio="pcm_s16le"), "limited", AS_MP4),
    "MPEG-4 and MP3 in AVI": Kind(lambda: film("avi", "mpeg4", audio="libmp3lame"), "limited", AS_MP4),
    "H.264 and MP3 in AVI": Kind(lambda: film("avi", audio="libmp3lame"), "limited", AS_MP4),
    "H.264 and AAC in MKV": Kind(lambda: film("matroska", audio="aac"), "limited", AS_MP4),
    "HEVC and AC-3 in MKV": Kind(lambda: film("matroska", "libx265", audio="ac3"), "limited", AS_MP4),
    "VP9 and AAC in MKV": Kind(
        lambda: film("matroska", "libvpx-vp9", audio="aac"), "limited", ("webm", "vp9", "opus")
    ),
    "MPEG-2 and MP2 in TS": Kind(lambda: film("mpegts", "mpeg2video", audio="mp2"), "limited", AS_MP4),
    "H.264 and AAC in TS": Kind(lambda: film("mpegts", audio="aac"), "limited", AS_MP4),
    "PNG in MOV": Kind(lambda: film("mov", "png", pix_fmt=RGB), "limited", ("mp4", "h264", None)),
}
