"""The picture of any moment of a video: background, captions, avatar and the furniture around them."""

import math
from functools import lru_cache

from PIL import Image, ImageDraw

from videovault.embedded.studio import furniture
from videovault.embedded.studio.avatar import STAGE, Avatar, mouth_at
from videovault.embedded.studio.captions import BOXES, FADE_SECONDS, Captions, Cue, cues_for
from videovault.embedded.studio.requests import VideoRequest
from videovault.embedded.studio.theme import HEIGHT, WIDTH, Backdrop, theme_for
from videovault.embedded.studio.timeline import on_twos, part_spans
from videovault.embedded.studio.typefaces import Typesetter

SIZE = (WIDTH, HEIGHT)
LABELS = ("HOOK", "BODY", "CONCLUSION")
_STAGE_AT = (WIDTH - furniture.MARGIN - STAGE + 4, 122)
_TEXT_MIDDLE = 372
_PLATE_MIDDLE = _STAGE_AT[1] + STAGE


class Scene:
    """Everything that stands still is drawn once, here; ``frame`` only puts it together."""

    def __init__(self, video: VideoRequest) -> None:
        parts = (video.hook, video.body, video.conclusion)
        shown = (*parts, video.company_name, video.social_handles, video.license, video.avatar)
        setter = Typesetter(" ".join(shown))
        company, handles, license_, avatar = (setter.clean(text) for text in shown[3:])
        self._theme = theme_for(video.company_name)
        self._spans = part_spans(parts)
        self._backdrop = Backdrop(self._theme)
        self._captions = Captions(cues_for(parts, setter), setter, self._theme)
        self._avatar = Avatar(video.avatar, self._theme)
        self._brand = furniture.brand(company, setter, self._theme) if company else None
        self._labels = [furniture.label(text, setter, self._theme) for text in LABELS]
        self._button = furniture.button(handles, setter, self._theme) if handles else None
        self._plate = furniture.name_plate(avatar or company or "Presenter", setter)
        self._credits = furniture.credits_line(handles, license_, setter, self._theme)

    @property
    def seconds(self) -> float:
        """How long the video is."""
        return self._spans[-1][1]

    def frame(self, seconds: float) -> Image.Image:
        """RGB, 1280x720."""
        image = self._ground(on_twos(seconds)).copy()
        self._draw_text(image, self._captions.cue_at(seconds), seconds)
        furniture.progress(image, self._spans, seconds, self._theme)
        return image

    @lru_cache(maxsize=1)  # noqa: B019 - a scene lives as long as one render, whose process then ends
    def _ground(self, seconds: float) -> Image.Image:
        """What moves slowly, or not at all: the same picture serves for two frames."""
        image = self._backdrop.picture(seconds)
        mouth = mouth_at(self._captions.cue_at(seconds), seconds)
        self._avatar.draw(image, _STAGE_AT, seconds, mouth)
        self._draw_plate(image, seconds, speaking=mouth != "closed")
        if self._brand:
            _put(image, self._brand, (furniture.MARGIN, 52))
        _put(image, self._credits, (furniture.MARGIN, HEIGHT - 74))
        return image

    def _draw_text(self, image: Image.Image, cue: Cue, seconds: float) -> None:
        button = self._button if cue.part == 2 else None
        tallest = max(other.page.height for other in self._captions.cues if other.part == cue.part)
        height = tallest + (button.height + 34 if button else 0)
        top = _TEXT_MIDDLE - height // 2 + 16
        label = self._labels[cue.part]
        _put(image, label, (_beside_text(cue, label), top - 54))
        self._captions.draw(image, (furniture.MARGIN, top), seconds)
        if button:
            came = min(1.0, (seconds - self._spans[2][0]) / (2 * FADE_SECONDS))
            _put(image, button, (_beside_text(cue, button), top + tallest + 34), strength=came)

    def _draw_plate(self, image: Image.Image, seconds: float, *, speaking: bool) -> None:
        left = _STAGE_AT[0] + (STAGE - self._plate.width) // 2
        top = _PLATE_MIDDLE - self._plate.height // 2
        _put(image, self._plate, (left, top))
        draw = ImageDraw.Draw(image)
        for bar in range(4):
            wave = abs(math.sin(seconds * (7.0 + 1.7 * bar) + bar * 1.3))
            half = 3 + (8 * wave if speaking else 0)
            x, middle = left + 22 + bar * 7, top + self._plate.height / 2 - 0.5
            draw.rectangle((x, middle - half, x + 3, middle + half), fill=self._theme.accent)


def _beside_text(cue: Cue, picture: Image.Image) -> int:
    """The left edge at which the picture stands flush with the text."""
    return furniture.MARGIN + (BOXES[cue.part].width - picture.width if cue.page.right_to_left else 0)


def _put(image: Image.Image, picture: Image.Image, at: tuple[int, int], *, strength: float = 1.0) -> None:
    mask = picture.getchannel("A")
    if strength < 1:
        mask = mask.point([round(level * strength) for level in range(256)])
    image.paste(picture, at, mask)
