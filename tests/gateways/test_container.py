"""Containers are detected by their first bytes, and other files are described.

Truncated files are detected by their declared lengths with few reads, and garbage proves nothing.
"""

import random
from contextlib import suppress
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.films import film
from tests.support.server_behaviour import payload
from videovault.errors import SourceError
from videovault.gateways.container import (
    MAX_ELEMENTS,
    SNIFF_BYTES,
    Container,
    detect_container,
    read_structure,
)

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
FRAGMENTED = "frag_keyframe+empty_moov+default_base_moof"
KINDS = {
    "index last": ("mp4", film(audio="aac")),
    "index first": ("mp4", film(audio="aac", moov_size="20000")),
    "fragmented": ("mp4", film(movflags=FRAGMENTED)),
    "mov": ("mov", film("mov")),
    "webm": ("webm", film("webm", "libvpx-vp9")),
    "mkv": ("mkv", film("matroska")),
    "recorded": ("webm", film("webm", "libvpx", live="1")),
    "avi": ("avi", film("avi", "mpeg4")),
}


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
    assert detect_container(film(file_format, codec, **options)[:SNIFF_BYTES]) == container


def test_old_quicktime_without_ftyp_is_detected() -> None:
    data = film("mov", "mpeg4")
    assert detect_container(data[int.from_bytes(data[:4], "big") :][:SNIFF_BYTES]) == "mov"


def test_mp4_with_unknown_brands_is_detected() -> None:
    assert detect_container(b"\x00\x00\x00\x18ftypdash\x00\x00\x00\x00iso5iso9" + bytes(100)) == "mp4"


@pytest.mark.parametrize(
    ("file_format", "codec", "name"),
    [("flv", "flv1", "FLV"), ("mpeg", "mpeg2video", "MPG"), ("asf", "wmv2", "WMV")],
)
def test_unsupported_video_format_is_named(file_format: str, codec: str, name: str) -> None:
    with pytest.raises(SourceError, match=f"a video in the format {name}; MP4, MOV"):
        detect_container(film(file_format, codec)[:SNIFF_BYTES])


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


def complete(container: str, data: bytes) -> bool | None:
    return read_structure(container, len(data), lambda at, count: data[at : at + count]).is_complete


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_file_is_incomplete(kind: str) -> None:
    container, data = KINDS[kind]
    assert complete(container, data) is True
    assert complete(container, data[:-7]) is False
    if kind != "recorded":  # it may end after any frame
        assert complete(container, data[: len(data) * 2 // 3]) is False


def test_unfinished_mp4_is_incomplete() -> None:
    data = film()
    unfinished = data[: data.rindex(b"moov") - 4]
    at = unfinished.index(b"mdat") - 4
    assert complete("mp4", unfinished) is False
    assert complete("mp4", unfinished[:at] + bytes(4) + unfinished[at + 4 :]) is False  # length not yet known


def test_data_after_the_last_box_is_ignored() -> None:
    assert complete("mp4", film() + bytes(1000)) is True
    assert complete("mp4", film() + b"\x7f\xff\xff\xffnote" + bytes(10)) is True


@pytest.mark.parametrize(
    ("container", "data"),
    [
        ("mp4", payload(1024**2)),
        ("mp4", b""),
        ("mp4", b"#EXTM3U\n#EXTINF:10,\n"),
        ("webm", b"\x1a\x45\xdf\xa3\xff"),
        ("mkv", b"\x1a\x45\xdf\xa3" + bytes(100)),
        ("avi", b"RIFF\x00\x00\x00\x00AVI "),
        ("ts", film("mpegts", "mpeg2video")),
    ],
)
def test_unknown_completeness(container: str, data: bytes) -> None:
    assert complete(container, data) is None


def test_number_of_boxes_read_is_limited() -> None:
    asked = []

    def read(at: int, count: int) -> bytes:
        asked.append(at)
        return (b"\x00\x00\x00\x08free" * 2)[:count]

    assert read_structure("mp4", 2**62, read).is_complete is None
    assert len(asked) <= MAX_ELEMENTS


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_file_never_raises(kind: str) -> None:
    container, data = KINDS[kind]
    chance = random.Random(kind)  # noqa: S311 - the same damage every time
    for _ in range(200):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        assert complete(container, bytes(damaged)) in (True, False, None)
