"""Frames of a video, for any text and any avatar."""

import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image, ImageChops

from videovault.embedded.studio.captions import BOXES, cues_for
from videovault.embedded.studio.requests import VideoRequest
from videovault.embedded.studio.scene import PORTRAITS, SIZE, Avatar, Mouth, Scene, mouth_at, portrait_of
from videovault.embedded.studio.text_layout import Typesetter
from videovault.embedded.studio.theme import THEMES, theme_for
from videovault.services.generation.avatars import BUILT_IN_NAMES

pytestmark = pytest.mark.thorough

PARTS = {
    "hook": "Good coffee is no secret.",
    "body": "It takes fresh beans, clean water and two minutes of your time.",
    "conclusion": "Come by and taste it!",
}
FIELDS = ("company_name", "social_handles", "license", "avatar")
UNUSUAL_TEXTS = {
    "emoji": "🚀 Big news 🎉 café ☕ — 👩‍👩‍👧",
    "only emoji": "🚀🎉",
    "right to left": "مرحبا بكم Excel في متجرنا 2026",
    "10,000 characters": "A fairly long sentence, again. " * 330,
    "one long word": "W" * 5000,
    "signs": "\x00\u202e\ud800 <b>&amp;</b> {0} %s \\",
    "blank": "   ",
}


@cache
def scene(**fields: str) -> Scene:
    return Scene(VideoRequest.model_validate({**PARTS, **fields}))


def differs(one: Image.Image, other: Image.Image, box: tuple[int, int, int, int] | None = None) -> bool:
    return ImageChops.difference(one.crop(box), other.crop(box)).getbbox() is not None


@pytest.mark.parametrize("text", UNUSUAL_TEXTS.values(), ids=UNUSUAL_TEXTS.keys())
def test_any_text_can_be_drawn_anywhere(text: str) -> None:
    odd = scene(**dict.fromkeys((*PARTS, *FIELDS), text))
    assert 5 <= odd.seconds <= 20
    for moment in (0.0, odd.seconds / 2, odd.seconds - 0.04):
        assert odd.frame(moment).size == SIZE


def test_captions_stay_between_their_edges() -> None:
    plain, long = scene(), scene(hook="Considerably longer, with many more words than before. " * 12)
    right_of_captions = (76 + BOXES[0].width + 14, 130, 76 + BOXES[0].width + 30, 600)
    assert not differs(plain.frame(0), long.frame(0), right_of_captions)


def test_background_captions_and_avatar_move() -> None:
    drawn = scene()
    early, late = drawn.frame(0.6), drawn.frame(1.4)
    assert differs(early, late, (0, 0, 60, 60))
    assert differs(early, late, (76, 200, 700, 560))
    assert differs(early, late, (900, 200, 1060, 480))


def test_the_three_parts_look_different() -> None:
    drawn = scene(**dict.fromkeys(PARTS, "Same words"))
    pictures = [drawn.frame(moment) for moment in (1.4, 3.1, 4.7)]
    label = (76, 250, 300, 350)
    assert all(differs(pictures[i], pictures[j], label) for i, j in ((0, 1), (1, 2), (0, 2)))


def test_the_first_frame_shows_the_hook_and_the_last_one_the_conclusion() -> None:
    """Posters and ended players show these."""
    one, other = scene(), scene(hook="Best toffee is no secret.", conclusion="Drop by and taste it!")
    captions = (76, 200, 700, 560)
    assert differs(one.frame(0), other.frame(0), captions)
    assert not differs(one.frame(one.seconds / 2), other.frame(one.seconds / 2), captions)
    assert differs(one.frame(one.seconds), other.frame(one.seconds), captions)


def test_the_mouth_moves_while_speaking_and_is_closed_at_the_end() -> None:
    cues = cues_for(list(PARTS.values()), Typesetter("a"))
    first, last = cues[0], cues[-1]
    shapes = {mouth_at(first, first.start + step / 25) for step in range(60)}
    assert len(shapes) >= 4
    assert mouth_at(last, last.end) == "closed"


def test_each_name_has_a_portrait_of_its_own() -> None:
    names = [*BUILT_IN_NAMES, "Zoe", "Ravi", "avatar-07", "Luca", "Ingrid", "../maya"]
    assert len({portrait_of(name) for name in names}) == len(names)
    assert portrait_of("Maya Angelou") == portrait_of("  maya ") == portrait_of("Maya")
    assert portrait_of("Zoe") == portrait_of("zoe")


def test_each_built_in_avatar_is_drawn_differently() -> None:
    drawn = [Image.new("RGB", (532, 532)) for _ in BUILT_IN_NAMES]
    for picture, name in zip(drawn, BUILT_IN_NAMES, strict=True):
        Avatar(name, THEMES[0]).draw(picture, (34, 34), 1.0, "open")
    assert len({picture.tobytes() for picture in drawn}) == len(BUILT_IN_NAMES)


@pytest.mark.parametrize("file", sorted(PORTRAITS.glob("*.svg")), ids=lambda file: file.stem)
def test_a_portrait_has_every_layer_and_the_view_that_the_create_form_shows(file: Path) -> None:
    ids = set(re.findall(r'\bid="([\w-]+)"', file.read_text()))
    assert {"portrait", "background", "body", "head", "eyes-open", "eyes-closed", "front"} <= ids
    assert {f"mouth-{shape}" for shape in get_args(Mouth)} <= ids
    assert file.stem.title() in BUILT_IN_NAMES


def test_a_companys_videos_match() -> None:
    assert theme_for("Acme  Ltd") is theme_for("acme ltd")
    assert len({id(theme_for(f"Company {number}")) for number in range(40)}) == len(THEMES)
