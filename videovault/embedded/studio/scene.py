"""The picture of any moment of a video: the avatar that speaks, captions, background and what is around them."""

import hashlib
import io
import math
from functools import lru_cache
from pathlib import Path
from typing import Literal

import resvg_py
from PIL import Image, ImageChops, ImageDraw

from videovault.embedded.studio.captions import (
    BOXES,
    FADE_SECONDS,
    Captions,
    Cue,
    cues_for,
    faded,
    on_twos,
    part_spans,
)
from videovault.embedded.studio.requests import VideoRequest
from videovault.embedded.studio.text_layout import Typesetter
from videovault.embedded.studio.theme import HEIGHT, RGB, WHITE, WIDTH, Backdrop, Theme, mixed, theme_for

SIZE = (WIDTH, HEIGHT)
LABELS = ("HOOK", "BODY", "CONCLUSION")
MARGIN = 76
DARK: RGB = (16, 18, 34)
_TEXT_MIDDLE = 372
_PROGRESS_GAP = 8

Mouth = Literal["closed", "half", "open", "wide", "round"]

STAGE = 464  # the diameter of the disc that the presenter stands in
_STAGE_AT = (WIDTH - MARGIN - STAGE + 4, 122)
_NAME_MIDDLE = _STAGE_AT[1] + STAGE
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


class Scene:
    """Everything that stands still is drawn once, here; ``frame`` only puts it together."""

    def __init__(self, video: VideoRequest) -> None:
        parts = (video.hook, video.body, video.conclusion)
        texts = (*parts, video.company_name, video.social_handles, video.license, video.avatar)
        setter = Typesetter(" ".join(texts))
        company, handles, license_, avatar = (setter.clean(text) for text in texts[3:])
        self._theme = theme_for(video.company_name)
        self._spans = part_spans(parts)
        self._backdrop = Backdrop(self._theme)
        self._captions = Captions(cues_for(parts, setter), setter, self._theme)
        self._avatar = Avatar(video.avatar, self._theme)
        self._brand = _brand(company, setter, self._theme) if company else None
        self._labels = [_label(text, setter, self._theme) for text in LABELS]
        self._button = _button(handles, setter, self._theme) if handles else None
        self._name = _name_plate(avatar or company or "Presenter", setter)
        self._credits = _credits(handles, license_, setter, self._theme)

    @property
    def seconds(self) -> float:
        """How long the video is."""
        return self._spans[-1][1]

    def frame(self, seconds: float) -> Image.Image:
        """RGB, 1280x720."""
        image = self._slow_layers(on_twos(seconds)).copy()
        self._draw_text(image, self._captions.cue_at(seconds), seconds)
        self._draw_progress(image, seconds)
        return image

    @lru_cache(maxsize=1)  # noqa: B019 - a scene lives as long as one render, whose process then ends
    def _slow_layers(self, seconds: float) -> Image.Image:
        """What moves slowly, or not at all: the same picture serves for two frames."""
        image = self._backdrop.picture(seconds)
        mouth = mouth_at(self._captions.cue_at(seconds), seconds)
        self._avatar.draw(image, _STAGE_AT, seconds, mouth)
        self._draw_name(image, seconds, speaking=mouth != "closed")
        if self._brand:
            _paste(image, self._brand, (MARGIN, 52))
        _paste(image, self._credits, (MARGIN, HEIGHT - 74))
        return image

    def _draw_text(self, image: Image.Image, cue: Cue, seconds: float) -> None:
        button = self._button if cue.part == 2 else None
        tallest = max(other.page.height for other in self._captions.cues if other.part == cue.part)
        height = tallest + (button.height + 34 if button else 0)
        top = _TEXT_MIDDLE - height // 2 + 16
        label = self._labels[cue.part]
        _paste(image, label, (_beside_text(cue, label), top - 54))
        self._captions.draw(image, (MARGIN, top), seconds)
        if button:
            opacity = min(1.0, (seconds - self._spans[2][0]) / (2 * FADE_SECONDS))
            _paste(image, button, (_beside_text(cue, button), top + tallest + 34), opacity)

    def _draw_name(self, image: Image.Image, seconds: float, *, speaking: bool) -> None:
        """The plate and the four bars in it, which move while the avatar speaks."""
        left = _STAGE_AT[0] + (STAGE - self._name.width) // 2
        top = _NAME_MIDDLE - self._name.height // 2
        _paste(image, self._name, (left, top))
        draw = ImageDraw.Draw(image)
        for bar in range(4):
            wave = abs(math.sin(seconds * (7.0 + 1.7 * bar) + bar * 1.3))
            half = 3 + (8 * wave if speaking else 0)
            x, middle = left + 22 + bar * 7, top + self._name.height / 2 - 0.5
            draw.rectangle((x, middle - half, x + 3, middle + half), fill=self._theme.accent)

    def _draw_progress(self, image: Image.Image, seconds: float) -> None:
        """One bar for each part along the lower edge."""
        draw = ImageDraw.Draw(image)
        pixels_per_second = (WIDTH - 2 * MARGIN + _PROGRESS_GAP) / self.seconds
        rest = mixed(self._theme.corners[1], self._theme.unspoken, 0.5)
        for start, end in self._spans:
            left, right = MARGIN + start * pixels_per_second, MARGIN + end * pixels_per_second - _PROGRESS_GAP
            draw.rectangle((left, HEIGHT - 26, right, HEIGHT - 22), fill=rest)
            if seconds > start:
                done = min(right, MARGIN + seconds * pixels_per_second)
                draw.rectangle((left, HEIGHT - 26, done, HEIGHT - 22), fill=self._theme.accent)


def _brand(company: str, setter: Typesetter, theme: Theme) -> Image.Image:
    """The company's initials on a tile, and its name."""
    name = setter.fitted(company, 28, 500, bold=True)
    picture = Image.new("RGBA", (54 + 18 + round(setter.width(name, 28, bold=True)) + 8, 54), (*WHITE, 0))
    picture.alpha_composite(rounded_box(54, 54, 15, theme.accent))
    draw = ImageDraw.Draw(picture)
    initials = "".join(word[0] for word in company.split() if word[0].isalnum())[:2].upper()
    setter.draw(draw, (27 - setter.width(initials, 23) / 2, 35), initials, 23, DARK, bold=True)
    setter.draw(draw, (72, 37), name, 28, WHITE, bold=True)
    return picture


def _label(text: str, setter: Typesetter, theme: Theme) -> Image.Image:
    """A faint pill with spaced capitals."""
    widths = [setter.width(letter, 16, bold=True) + 3 for letter in text]
    picture = rounded_box(round(sum(widths)) + 36, 34, 17, theme.accent, 0.14)
    draw = ImageDraw.Draw(picture)
    x = 19.0
    for letter, width in zip(text, widths, strict=True):
        setter.draw(draw, (x, 23), letter, 16, theme.accent, bold=True)
        x += width
    return picture


def _button(text: str, setter: Typesetter, theme: Theme) -> Image.Image:
    shown = setter.fitted(text, 26, 540, bold=True)
    picture = rounded_box(round(setter.width(shown, 26, bold=True)) + 56, 58, 29, theme.accent)
    setter.draw(ImageDraw.Draw(picture), (28, 38), shown, 26, DARK, bold=True)
    return picture


def _name_plate(name: str, setter: Typesetter) -> Image.Image:
    """With room for the bars at its left."""
    shown = setter.fitted(name, 22, 240)
    picture = rounded_box(round(setter.width(shown, 22)) + 82, 46, 23, DARK, 0.92)
    setter.draw(ImageDraw.Draw(picture), (58, 31), shown, 22, WHITE)
    return picture


def _credits(handles: str, license_: str, setter: Typesetter, theme: Theme) -> Image.Image:
    """Handles at the left, license at the right."""
    picture = Image.new("RGBA", (WIDTH - 2 * MARGIN, 32), (*WHITE, 0))
    draw = ImageDraw.Draw(picture)
    setter.draw(draw, (0, 22), setter.fitted(handles, 20, 620), 20, theme.quiet)
    shown = setter.fitted(license_, 18, 420)
    setter.draw(draw, (picture.width - 2 - setter.width(shown, 18), 22), shown, 18, theme.quiet)
    return picture


def _beside_text(cue: Cue, picture: Image.Image) -> int:
    """The left edge at which the picture stands flush with the text."""
    return MARGIN + (BOXES[cue.part].width - picture.width if cue.page.right_to_left else 0)


def _paste(image: Image.Image, picture: Image.Image, at: tuple[int, int], opacity: float = 1.0) -> None:
    image.paste(picture, at, faded(picture.getchannel("A"), opacity))


class Avatar:
    """One presenter on a round stage: a head that sways on a still body, eyes that blink, a mouth that speaks.

    A portrait is a layered SVG in ``assets/avatars``, so a new avatar is a new file; resvg draws it. Its coordinates are
    pixels of the video; groups with these ids are its layers: background (not shown here), behind, body, head, mouth-*,
    eyes-*, front. The classes skin, hair and outfit (for strokes: hair-line, outfit-line) mark what names without a
    portrait recolour.
    """

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
