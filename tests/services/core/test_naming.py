"""Titles, keys and file names are safe for any input."""

import re
from urllib.parse import unquote

import pytest

from videovault.models import Status, Video
from videovault.services.core import naming

VIDEO = Video(
    id="video_1703123456789_abc123def", owner_id="user1", title="t", status=Status.DRAFT, sealed_key="-"
)
ODD = [
    "plain",
    "naïve café",
    "🎬 launch",
    "مرحبا بالعالم",
    'quotes " and \\ slashes / :',
    "line\nbreak\r\nSet-Cookie: a=b",
    "../../etc/passwd",
    "\u202egnp.exe",
    "",
    "....",
    "x" * 500,
]


@pytest.mark.parametrize("title", ODD)
@pytest.mark.parametrize("inline", [True, False])
def test_any_title_makes_a_well_formed_header(title: str, inline: bool) -> None:
    header = naming.content_disposition(title, "mp4", inline=inline)
    form = (
        r"(inline|attachment); filename=\"[A-Za-z0-9 ._()-]+\.mp4\"; filename\*=UTF-8''[A-Za-z0-9%._~-]+\.mp4"
    )
    assert re.fullmatch(form, header)


def test_the_file_name_is_the_title() -> None:
    header = naming.content_disposition("Über uns: 2026", "mp4")
    assert unquote(header.split("''")[1]) == "Über uns 2026.mp4"
    assert 'filename="Uber uns 2026.mp4"' in header


def test_bidirectional_control_characters_are_removed_from_file_names() -> None:
    assert "%E2%80%AE" not in naming.content_disposition("\u202egnp.exe", "mp4")


@pytest.mark.parametrize(
    "name", ["video.mp4", "a%20b.mp4", "%2e%2e%2f%2e%2e.mp4", "%F0%9F%8E%AC.mp4", "", "?a=b.mp4"]
)
def test_object_keys_have_the_documented_form_and_ascii_characters(name: str) -> None:
    key = naming.object_key(VIDEO, f"https://example.com/{name}")
    assert re.fullmatch(r"videos/user1/video_1703123456789_abc123def/\d{13}_[A-Za-z0-9.-]+\.mp4", key)


def test_a_title_is_the_first_line_cut_at_a_word() -> None:
    assert naming.title_from_text("Our bread\nand more") == "Our bread"
    long = naming.title_from_text("word " * 40)
    assert len(long) <= naming.TITLE_LENGTH
    assert long.endswith("word…")
    assert naming.title_from_text("\n\n") == "Untitled"
