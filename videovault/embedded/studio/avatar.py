"""The presenter: a head that sways on a still body, eyes that blink, a mouth that speaks; drawn by resvg.

A portrait is a layered SVG in ``assets/avatars``, so a new avatar is a new file. Its coordinates are pixels of the
video; groups with these ids are its layers: background (not shown here), behind, body, head, mouth-*, eyes-*, front.
The classes skin, hair and outfit (for strokes: hair-line, outfit-line) mark what names without a portrait recolour.
"""

import hashlib
import io
import math
from functools import lru_cache
from pathlib import Path
from typing import Literal

import resvg_py
from PIL import Image, ImageChops

from videovault.embedded.studio.captions import Cue
from videovault.embedded.studio.theme import Theme, mixed

Mouth = Literal["closed", "half", "open", "wide", "round"]

STAGE = 464  # the diameter of the disc that the presenter stands in
PORTRAITS = Path(__file__).parents[3] / "assets" / "avatars"
TEMPLATES = ("amara", "daniel", "emma", "kenji", "maya", "sofia")  # for names without a portrait
SKINS = ("#ffdcc4", "#f5c9aa", "#e2ac84", "#c68c62", "#9a6646", "#704832")
HAIR = ("#221d21", "#3e2a22", "#68422a", "#924628", "#d8aa60")
OUTFITS = ("#283868", "#166e74", "#8c2e5c", "#ceb086", "#608670", "#e26858")

_HALO = 34
_ABOVE = 36  # a portrait begins this far above the stage
_NECK = (232.0, 300.0)  # in the portrait; the head sways about it
_SWAY = 14  # pixels that nothing moves beyond
_BLINK_EVERY, _BLINK_SECONDS = 3.1, 0.16
_SHAPES: dict[str, Mouth] = {
    **dict.fromkeys("aá", "open"),
    **dict.fromkeys("eiyé", "wide"),
    **dict.fromkeys("ouwqöü", "round"),
    **dict.fromkeys("mbp.,;:!?…", "closed"),
}


class Avatar:
    """One presenter on a round stage in the colours of the theme."""

    def __init__(self, name: str, theme: Theme) -> None:
        self._portrait, self._colours = portrait_of(name)
        self._stage = _stage(theme)
        disc = _circles(f'<circle r="{STAGE / 2}" fill="#fff"/>', STAGE)
        self._body = self._layers("body").crop((0, _ABOVE, STAGE, _ABOVE + STAGE))
        self._body_mask = ImageChops.multiply(self._body.getchannel("A"), disc.getchannel("A"))
        self._behind = _Swaying(self._layers("behind"))

    def draw(self, image: Image.Image, at: tuple[int, int], seconds: float, mouth: Mouth) -> None:
        """Paste the avatar; ``at`` is the top left corner of the stage's square."""
        image.paste(self._stage, (at[0] - _HALO, at[1] - _HALO), self._stage)
        portrait_at = (at[0], at[1] - _ABOVE)
        self._behind.draw(image, portrait_at, seconds)
        image.paste(self._body, at, self._body_mask)
        eyes = "open" if (seconds + 1.6) % _BLINK_EVERY > _BLINK_SECONDS else "closed"
        self._expression(mouth, eyes).draw(image, portrait_at, seconds)

    @lru_cache(maxsize=16)  # noqa: B019 - an avatar lives as long as one render, whose process then ends
    def _expression(self, mouth: Mouth, eyes: str) -> "_Swaying":
        return _Swaying(self._layers("head", f"mouth-{mouth}", f"eyes-{eyes}", "front"))

    def _layers(self, *names: str) -> Image.Image:
        shown = ", ".join(f"#{name}" for name in names)
        style = f"svg > g {{ display: none }} {shown} {{ display: inline }} {self._colours}"
        return render_svg(self._portrait, style)


def portrait_of(name: str) -> tuple[str, str]:
    """The SVG with this first name, or one chosen by the name, and a style sheet that gives it colours of its own."""
    name = " ".join(name.split()).casefold()
    portraits = {file.stem: file for file in PORTRAITS.glob("*.svg")}
    if known := portraits.get(name.partition(" ")[0]):
        return known.read_text(), ""
    template, skin, hair, outfit = hashlib.sha256(name.encode()).digest()[:4]
    skin %= len(SKINS)
    hair %= len(HAIR) if skin < 3 else 3
    colours = {"skin": SKINS[skin], "hair": HAIR[hair], "outfit": OUTFITS[outfit % len(OUTFITS)]}
    style = (f".{part} {{ fill: {c} }} .{part}-line {{ stroke: {c} }}" for part, c in colours.items())
    return portraits[TEMPLATES[template % len(TEMPLATES)]].read_text(), " ".join(style)


def mouth_at(cue: Cue, seconds: float) -> Mouth:
    """The shape of the letter that is being spoken; closed in pauses."""
    for word, (start, end) in zip(cue.page.words, cue.spoken, strict=True):
        if start <= seconds < end:
            letters = word.text.lower() + "."
            return _SHAPES.get(letters[int((seconds - start) / (end - start) * len(letters))], "half")
    return "closed"


class _Swaying:
    """Layers that move, cut to what is drawn: a small picture is moved faster."""

    def __init__(self, layers: Image.Image) -> None:
        left, top, right, bottom = layers.getbbox() or (0, 0, 0, 0)
        self._at = (left - _SWAY, top - _SWAY)
        self._picture = layers.crop((*self._at, right + _SWAY, bottom + _SWAY))

    def draw(self, image: Image.Image, portrait_at: tuple[int, int], seconds: float) -> None:
        """Moved by fractions of a pixel, so that slow motion does not step."""
        angle = math.radians(1.7 * math.sin(seconds * 1.1))
        cos, sin = math.cos(angle), math.sin(angle)
        from_x, from_y = _NECK[0] - self._at[0], _NECK[1] - self._at[1]
        x, y = from_x + 3.0 * math.sin(seconds * 1.4), from_y + 3.2 * math.sin(seconds * 2.3)
        matrix = (cos, sin, from_x - cos * x - sin * y, -sin, cos, from_y + sin * x - cos * y)
        size = self._picture.size
        moved = self._picture.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        image.paste(moved, (portrait_at[0] + self._at[0], portrait_at[1] + self._at[1]), moved)


def _stage(theme: Theme) -> Image.Image:
    """The disc with its own light, and two faint rings around it."""
    light, dark = theme.stage
    rings = "".join(
        f'<circle r="{STAGE / 2 + width}" fill="rgb{light}" fill-opacity="{opacity}"/>'
        for width, opacity in ((_HALO, 0.09), (_HALO / 2, 0.17))
    )
    gradient = (
        f'<linearGradient id="light" x2="0" y2="1"><stop stop-color="rgb{mixed(light, dark, 0.25)}"/>'
        f'<stop offset="1" stop-color="rgb{dark}"/></linearGradient>'
    )
    return _circles(f'{gradient}{rings}<circle r="{STAGE / 2}" fill="url(#light)"/>', STAGE + 2 * _HALO)


def _circles(shapes: str, size: int) -> Image.Image:
    """Drawn around the middle of a square picture."""
    return render_svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" '
        f'viewBox="{-size / 2} {-size / 2} {size} {size}">{shapes}</svg>'
    )


def render_svg(svg: str, style_sheet: str = "") -> Image.Image:
    """RGBA, in the size of the drawing; the style sheet overrides its attributes."""
    png = resvg_py.svg_to_bytes(svg_string=svg, style_sheet=style_sheet, skip_system_fonts=True)
    return Image.open(io.BytesIO(png))


def rounded_box(
    width: int, height: int, radius: int, colour: tuple[int, int, int], opacity: float = 1
) -> Image.Image:
    """A filled rectangle with round corners."""
    return render_svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<rect width="{width}" height="{height}" rx="{radius}" fill="rgb{colour}" fill-opacity="{opacity}"/></svg>'
    )
