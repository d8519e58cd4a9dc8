"""Containers are detected by their first bytes, and other files are described."""

import io
from contextlib import suppress
from typing import Any, get_args

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from videovault.errors import SourceError
from videovault.gateways.container import SNIFF_BYTES, Container, detect_container

BEGINNINGS = [
    b"",
    b"\x00\x00\x00\x20ftyp",
    b"\xff\xff\xff\xffftypisom",
    b"\x1a\x45\xdf\xa3",
    b"RIFF",
    b"G",
    b"PK\x03\x04",
    b"\x00\x00\x01",
    b"<",
    b"{",
]


def _film(file_format: str, codec: str = "mpeg4", **options: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=file_format, options=options) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            picture = Image.new("RGB", (64, 48), (20 * number, 90, 10))
            frame: av.VideoFrame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call] # PyAV's gap
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    ("file_format", "codec", "options", "container"),
    [
        ("mp4", "mpeg4", {}, "mp4"),
        ("mp4", "mpeg4", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}, "mp4"),
        ("mp4", "mpeg4", {"movflags": "frag_keyframe+empty_moov", "brand": "iso6"}, "mp4"),
        ("mp4", "mpeg4", {"movflags": "cmaf+frag_keyframe"}, "mp4"),
        ("ipod", "mpeg4", {}, "mp4"),
        ("3gp", "mpeg4", {}, "mp4"),
        ("mov", "mpeg4", {}, "mov"),
        ("mov", "mpeg4", {"movflags": "frag_keyframe+empty_moov"}, "mov"),
        ("webm", "libvpx", {}, "webm"),
        ("matroska", "mpeg4", {}, "mkv"),
        ("avi", "mpeg4", {}, "avi"),
        ("mpegts", "mpeg2video", {}, "ts"),
        ("mpegts", "mpeg2video", {"mpegts_m2ts_mode": "1"}, "ts"),
    ],
)
def test_container_is_detected(file_format: str, codec: str, options: dict[str, str], container: str) -> None:
    assert detect_container(_film(file_format, codec, **options)[:SNIFF_BYTES]) == container


def test_old_quicktime_without_ftyp_is_detected() -> None:
    film = _film("mov")
    assert detect_container(film[int.from_bytes(film[:4], "big") :][:SNIFF_BYTES]) == "mov"


def test_mp4_with_unknown_brands_is_detected() -> None:
    assert detect_container(b"\x00\x00\x00\x18ftypdash\x00\x00\x00\x00iso5iso9" + bytes(100)) == "mp4"


@pytest.mark.parametrize(
    ("file_format", "codec", "name"),
    [("flv", "flv1", "FLV"), ("mpeg", "mpeg1video", "MPG"), ("asf", "wmv2", "WMV")],
)
def test_unsupported_video_format_is_named(file_format: str, codec: str, name: str) -> None:
    with pytest.raises(SourceError, match=f"a video in the format {name}; MP4, MOV"):
        detect_container(_film(file_format, codec)[:SNIFF_BYTES])


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(100), "an image (JPG)"),
        (b"ID3\x04" + bytes(100), "an audio file (MP3)"),
        (b"PK\x03\x04" + bytes(100), "a file (ZIP)"),
        (b"%PDF-1.7" + bytes(100), "a file (PDF)"),
        (b"\x1f\x8b\x08" + bytes(100), "a file (GZ)"),
        (b"  \r\n<!doctype HTML><html>", "a web page"),
        (b"\xef\xbb\xbf<HTML>", "a web page"),
        (b"<!-- x --><p>", "a web page"),
        (b"<?xml version='1.0'?><Error/>", "an XML document"),
        (b"<?xml version='1.0'?><MPD xmlns='x'>", "a streaming playlist"),
        (b"#EXTM3U\n", "a streaming playlist"),
        (b' {"a": 1}', "JSON data"),
        (b"[1, 2]", "JSON data"),
        ("nicht gefunden \u00fc".encode() * 300, "plain text"),
        (b"Get free videos here", "plain text"),
        (b"G" + b"x" * 500, "plain text"),
        (bytes(5000), "not a video"),
        (b"\xff\xfe<\x00h\x00", "not a video"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "not a video"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "an audio file (WAV)"),
        (b"\x00\x00\x00\x07moov", "not a video"),
        (b"G", "plain text"),
    ],
)
def test_other_file_is_described(head: bytes, sentence: str) -> None:
    with pytest.raises(SourceError) as refusal:
        detect_container(head[:SNIFF_BYTES])
    assert sentence in refusal.value.public_message
    assert not refusal.value.retryable


@pytest.mark.parametrize("cut", range(1, 12))
def test_text_truncated_within_a_character_is_text(cut: int) -> None:
    with pytest.raises(SourceError, match="plain text"):
        detect_container(("\U0001f3ac" * 3).encode()[:cut])


@given(st.binary(max_size=300), st.sampled_from(BEGINNINGS))
def test_any_bytes_are_detected_or_refused(rest: bytes, beginning: bytes) -> None:
    with suppress(SourceError):
        assert detect_container(beginning + rest) in get_args(Container)
