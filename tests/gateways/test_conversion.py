"""Conversion of a hostile file ends within its limits and with a reason."""

import io
import struct
import tempfile
from dataclasses import replace
from fractions import Fraction

import av
import pytest

from tests.support.films import claiming, film, of_a_kind, with_padding
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from videovault.gateways.conversion import ConversionFailed, Limits, Recipe, SourceVideo, convert
from videovault.gateways.probe import probe_video

pytestmark = pytest.mark.thorough
ENCODED = Recipe("mp4", "h264", None)
PLENTY = Limits(60, 100 * 1024**2)


class Stopped(Exception):
    pass


def converted(
    server: MisbehavingServer, data: bytes, recipe: Recipe = ENCODED, limits: Limits = PLENTY, **facts: object
) -> bytes:
    url = server.serve("/video", ServerBehaviour(body=data))
    original = replace(SourceVideo(url, "mp4", 2.0, 0), **facts)  # type: ignore[arg-type]
    with tempfile.TemporaryFile() as file:
        size = convert(original, recipe, file, limits, lambda: None)
        file.seek(0)
        copy = file.read()
    assert len(copy) == size
    return copy


def nested_boxes(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = struct.pack(">I4s", len(inner) + 8, b"moov") + inner
    return film()[:32] + inner


def many_streams(count: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        streams = [container.add_stream("mpeg4", rate=10) for _ in range(count)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for stream in streams:
            container.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
            container.mux(stream.encode())
    return file.getvalue()


HOSTILE = {
    "empty": b"",
    "no video at all": b"#EXTM3U\nhttp://127.0.0.1/secret\n",
    "boxes in boxes": nested_boxes(2000),
    "an image bomb": claiming(
        film("mov", "png", size=(64, 48), pix_fmt="rgb24", frames=3), size=(60000, 60000), was=(64, 48)
    ),
    "half of it": of_a_kind("HEVC in MP4")[:1500],
    "sound alone": film(codec=None, audio="aac"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_file_that_is_no_video_fails_with_a_reason(name: str, server: MisbehavingServer) -> None:
    with pytest.raises(ConversionFailed) as failed:
        converted(server, HOSTILE[name])
    assert str(failed.value)


def test_file_with_a_thousand_streams(server: MisbehavingServer) -> None:
    data = many_streams(1000)
    try:
        copy = converted(server, data, container="mkv", duration=0.1)
    except ConversionFailed:
        return
    with av.open(io.BytesIO(copy)) as container:
        assert len(container.streams) == 1


def test_output_size_is_limited(server: MisbehavingServer) -> None:
    with pytest.raises(ConversionFailed, match="too large"):
        converted(server, film(), limits=replace(PLENTY, output_bytes=1000))


def test_false_duration_fails(server: MisbehavingServer) -> None:
    """The space reserved for the index depends on the duration and counts as output."""
    for seconds in (10.0**5, 10.0**8 - 1):
        with pytest.raises(ConversionFailed):
            converted(server, film(), duration=seconds)


def test_conversion_ends_at_its_deadline(server: MisbehavingServer) -> None:
    url = server.serve("/video", ServerBehaviour(body=film(), stall_after=100))
    with tempfile.TemporaryFile() as file, pytest.raises(ConversionFailed):
        convert(SourceVideo(url, "mp4", 2.0, 0), ENCODED, file, replace(PLENTY, seconds=0.5), lambda: None)


def test_check_can_stop_the_conversion(server: MisbehavingServer) -> None:
    def stop() -> None:
        raise Stopped

    url = server.serve("/video", ServerBehaviour(body=with_padding(film(), 10 * 1024**2), delay=0.6))
    with tempfile.TemporaryFile() as file, pytest.raises(Stopped):
        convert(SourceVideo(url, "mp4", 2.0, 0), ENCODED, file, PLENTY, stop)


def test_large_video_is_scaled_to_1080p(server: MisbehavingServer) -> None:
    for size, wanted in (((2560, 1440), (1920, 1080)), ((1440, 2560), (1080, 1920))):
        copy = converted(server, film(size=size, frames=2), duration=0.2)
        seen = probe_video(server.serve("/copy", ServerBehaviour(body=copy)), "mp4")
        assert seen
        assert (seen.width, seen.height) == wanted
        assert (seen.video_level or 0) <= 42


def test_non_square_pixels_become_square(server: MisbehavingServer) -> None:
    copy = converted(server, film(codec="mpeg4", size=(160, 160), aspect=Fraction(2, 1)))
    with av.open(io.BytesIO(copy)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (320, 160)
