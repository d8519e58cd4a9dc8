"""The picture of any moment of a video: background, captions, avatar and what is around them."""

import math
from functools import lru_cache

from PIL import Image, ImageDraw

from videovault.embedded.studio.avatar import STAGE, Avatar, mouth_at, rounded_box
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
_STAGE_AT = (WIDTH - MARGIN - STAGE + 4, 122)
_TEXT_MIDDLE = 372
_NAME_MIDDLE = _STAGE_AT[1] + STAGE
_PROGRESS_GAP = 8


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
