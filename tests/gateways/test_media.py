"""The probe describes a video, and a hostile file costs at most its poster."""

import io
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image, ImageStat
from pydantic import ValidationError

from tests.support.canary import Canary
from tests.support.embedded_s3 import EmbeddedS3
from tests.support.films import claiming, film, of_a_kind, with_padding, without_pictures
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour
from videovault.gateways.media import (
    ConversionFailed,
    Limits,
    MediaInfo,
    ProbeResult,
    Recipe,
    SourceVideo,
    convert,
    probe_video,
)

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parent.parent.parent
SOME_SECONDS = 60  # far from every limit, however busy the machine


def probed(
    server: MisbehavingServer, data: bytes, container: str = "mp4", **limits: Any
) -> ProbeResult | None:
    return probe_video(server.serve("/video", ServerBehaviour(body=data)), container, **limits)


def picture(found: ProbeResult | None) -> Image.Image:
    assert found
    assert found.poster
    image = Image.open(io.BytesIO(found.poster))
    assert image.format == "WEBP"
    return image.convert("RGB")


def colour(image: Image.Image, across: float, down: float) -> str:
    pixel = image.getpixel((int(image.width * across), int(image.height * down)))
    assert isinstance(pixel, tuple)
    return "red" if pixel[0] > pixel[2] else "blue"


def _children() -> list[list[str]]:
    """The command lines of child processes."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.append((stat.parent / "cmdline").read_text().split("\0"))
    return found


def test_mp4_has_media_info_and_poster(server: MisbehavingServer) -> None:
    found = probed(server, film(audio="aac"))
    assert found
    assert found.duration == pytest.approx(2, abs=0.1)
    assert (found.width, found.height) == (160, 90)
    assert (found.video_codec, found.audio_codec) == ("h264", "aac")
    image = picture(found)
    assert image.size == (640, 360)
    assert [colour(image, 0.5, 0.1), colour(image, 0.5, 0.9)] == ["red", "blue"]


def test_large_file_with_its_index_at_the_end_is_not_downloaded(server: MisbehavingServer) -> None:
    before = server.bytes_sent("/video")
    found = probed(server, with_padding(film(), 100 * MIB))
    assert picture(found).size == (640, 360)
    assert server.bytes_sent("/video") - before < MIB


def test_byte_budget_is_respected(server: MisbehavingServer) -> None:
    before, budget = server.bytes_sent("/video"), MIB // 4
    stream = film("mpegts", "mpeg2video") * 40
    assert len(stream) > 2 * budget
    probed(server, stream, "ts", budget=budget)
    assert server.bytes_sent("/video") - before <= budget


def test_rotated_video_has_an_upright_poster(server: MisbehavingServer) -> None:
    found = probed(server, film(rotation=90))
    assert found
    assert (found.width, found.height) == (90, 160)
    image = picture(found)
    assert image.size == (640, 1138)
    # A quarter turn counter-clockwise brings the upper half to the left.
    assert [colour(image, 0.1, 0.5), colour(image, 0.9, 0.5)] == ["red", "blue"]


def test_non_square_pixels_are_stretched(server: MisbehavingServer) -> None:
    image = picture(probed(server, film(size=(160, 160), aspect=Fraction(2, 1))))
    assert image.size == (640, 320)


def test_poster_height_is_limited(server: MisbehavingServer) -> None:
    image = picture(probed(server, film(size=(16, 2048), frames=2)))
    assert image.size == (10, 1280)


def test_audio_only_has_a_duration_and_no_picture(server: MisbehavingServer) -> None:
    found = probed(server, film(codec=None, audio="aac"))
    assert found
    assert found.duration == pytest.approx(2, abs=0.2)
    assert (found.width, found.video_codec, found.audio_codec, found.poster) == (None, None, "aac", None)


def test_poster_skips_black_frames(server: MisbehavingServer) -> None:
    """Black at the start, at a tenth and at a quarter."""
    image = picture(probed(server, film(frames=40, black=12)))
    assert [colour(image, 0.5, 0.1), colour(image, 0.5, 0.9)] == ["red", "blue"]


def test_black_video_has_a_black_poster(server: MisbehavingServer) -> None:
    grey = picture(probed(server, film(black=20))).convert("L")
    assert ImageStat.Stat(grey).extrema[0][1] < 16


@pytest.mark.parametrize("audio", [None, "libopus"])
def test_missing_duration_is_measured(server: MisbehavingServer, audio: str | None) -> None:
    found = probed(server, film("webm", "libvpx", frames=60, audio=audio, live="1"), "webm")
    assert found
    assert found.duration == pytest.approx(6, abs=0.2)
    assert not found.has_duration


def test_video_without_frames_has_no_poster(server: MisbehavingServer) -> None:
    found = probed(server, film(frames=0))
    assert found is None or (found.duration, found.poster) == (None, None)


def test_broken_frames_cost_only_the_poster(server: MisbehavingServer) -> None:
    found = probed(server, without_pictures(film(audio="aac")))
    assert found
    assert (found.width, found.height, found.poster) == (160, 90, None)
    assert found.duration == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("claimed", [(60000, 60000), (2, 2_000_000_000)])
def test_image_bomb_costs_only_the_poster(server: MisbehavingServer, claimed: tuple[int, int]) -> None:
    video = film("mov", "png", size=(64, 48), pix_fmt="rgb24", frames=3)
    found = probed(server, claiming(video, size=claimed, was=(64, 48)), "mov")
    assert found is None or found.poster is None


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize(
    ("file_format", "codec", "container"),
    [("mp4", "libx264", "mp4"), ("matroska", "libx264", "mkv"), ("mpegts", "mpeg2video", "ts")],
)
def test_truncated_file_is_handled(
    server: MisbehavingServer, file_format: str, codec: str, container: str, kept: float
) -> None:
    data = film(file_format, codec)
    found = probed(server, data[: int(len(data) * kept)], container)
    assert found is None or found.poster is None or picture(found).width == 640


@pytest.mark.parametrize("seed", range(16))
def test_file_with_random_bytes_is_handled(server: MisbehavingServer, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same damage every time
    file_format, codec, container = chance.choice(
        [("mp4", "libx264", "mp4"), ("matroska", "libx264", "mkv"), ("avi", "mpeg4", "avi")]
    )
    data = bytearray(film(file_format, codec))
    for _ in range(chance.randint(1, 200)):
        data[chance.randrange(8, len(data))] = chance.randrange(256)
    found = probed(server, bytes(data), container)
    assert found is None or found.poster is None or picture(found).width > 0


PLAYLISTS = (
    "#EXTM3U\n#EXTINF:10,\n{url}\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "ffconcat version 1.0\nfile 'file:///etc/passwd'\nfile '{url}'\n",
    '<?xml version="1.0"?><MPD><Period><BaseURL>{url}</BaseURL></Period></MPD>',
)


@pytest.mark.parametrize("container", ["mp4", "mkv", "avi", "ts"])
def test_playlists_open_no_file_or_connection(server: MisbehavingServer, container: str) -> None:
    with Canary() as canary:
        for playlist in PLAYLISTS:
            text = playlist.format(url=f"http://127.0.0.1:{canary.port}/secret")
            assert probed(server, text.encode(), container) is None
        assert canary.callers() == 0


FORBIDDEN = (
    "open('/etc/passwd')",
    "import socket; socket.socket()",
    "import os; os.pipe()",
    "bytearray(2 * 1024**3)",
)


def test_sandbox_forbids_files_connections_and_memory() -> None:
    code = "import socket, os\nfrom videovault.gateways import sandbox_child\n"
    code += "sandbox_child.preload_modules()\nsandbox_child.confine()\n"
    for forbidden in FORBIDDEN:
        code += f"try:\n    {forbidden}\n    print('allowed', flush=True)\n"
        code += "except (OSError, MemoryError) as error:\n    print(type(error).__name__, flush=True)\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["OSError", "OSError", "OSError", "MemoryError"], done.stderr


@pytest.mark.parametrize(
    "behaviour",
    [
        ServerBehaviour(no_answer=True),
        ServerBehaviour(body=film(), stall_after=0),
        ServerBehaviour(drop_after=100),  # again and again
        ServerBehaviour(body=film(), delay=0.5),  # at least twice before the first message
    ],
)
def test_probe_ends_at_its_deadline_and_leaves_no_process(
    server: MisbehavingServer, behaviour: ServerBehaviour
) -> None:
    started = time.monotonic()
    assert probe_video(server.serve("/video", behaviour), "mp4", seconds=0.8) is None
    assert time.monotonic() - started < SOME_SECONDS
    assert not [argv for argv in _children() if "videovault.gateways.probe_child" in argv]


@pytest.mark.parametrize(
    "behaviour",
    [ServerBehaviour(status=403, body=b"denied"), ServerBehaviour(ranges=False), ServerBehaviour(body=b"")],
)
def test_unreadable_object_has_no_media_info(server: MisbehavingServer, behaviour: ServerBehaviour) -> None:
    assert probe_video(server.serve("/video", behaviour), "mp4") is None


def test_embedded_s3_is_read_by_presigned_url(embedded_s3: EmbeddedS3) -> None:
    client, where = embedded_s3.client(), embedded_s3.at("probe/video.mp4")
    client.put_object(**where, Body=film())
    found = probe_video(client.generate_presigned_url("get_object", Params=dict(where)), "mp4")
    assert picture(found).size == (640, 360)


@pytest.mark.parametrize(
    "message",
    [
        {"duration": float("inf")},
        {"duration": -1.0},
        {"width": 0},
        {"height": 10**9},
        {"video_codec": "<script>"},
        {"more": 1},
    ],
)
def test_messages_of_the_child_are_validated(message: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MediaInfo.model_validate(message)


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
