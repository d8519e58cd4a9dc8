"""Truncated files are detected by their declared lengths with few reads, and garbage proves nothing."""

import random

import pytest

from tests.support.films import film
from tests.support.server_behaviour import payload
from videovault.gateways.container import MAX_ELEMENTS, read_structure

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
