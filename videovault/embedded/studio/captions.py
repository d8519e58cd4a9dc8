"""Captions: the script in pages, shown one after another, with each word highlighted as it is spoken."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from PIL import Image, ImageDraw

from videovault.embedded.studio.text_layout import BASELINE, LINE_HEIGHT, Box, Page, Typesetter, lay_out
from videovault.embedded.studio.theme import RGB, WHITE, Theme, mixed

WORDS_PER_MINUTE = 150
MIN_SECONDS, MAX_SECONDS = 5.0, 20.0
# A part of one word must still be readable.
MIN_SHARE = 0.18

FRAMES_PER_SECOND = 25
# For hook, body and conclusion, below which there is a button.
BOXES = (Box(596, 340), Box(596, 340), Box(596, 262))
SIZES = ((60, 52, 46, 40, 34, 30), (44, 40, 36, 32, 28), (52, 46, 40, 36, 32, 28))
MIN_SECONDS_PER_PAGE = 2.2
FADE_SECONDS = 0.3
RISE_PIXELS = 14
# Letters may reach a little out of their box.
_OVERHANG = 6


@dataclass(frozen=True)
class Cue:
    """A page, its part (0 hook, 1 body, 2 conclusion), when it is shown and when each word is spoken, in seconds."""

    page: Page
    part: int
    start: float
    end: float
    spoken: tuple[tuple[float, float], ...]


def estimated_seconds(parts: Sequence[str]) -> float:
    """The spoken length of all parts, limited to 5 to 20 seconds."""
    words = sum(len(part.split()) for part in parts)
    return min(MAX_SECONDS, max(MIN_SECONDS, words * 60 / WORDS_PER_MINUTE))


def shares(weights: Sequence[float], total: float, *, min_share: float = 0.0) -> list[tuple[float, float]]:
    """``total`` seconds split by weight into consecutive (start, end) spans, each at least ``min_share`` of the whole."""
    whole = sum(weights) or 1.0
    fractions = [max(min_share, weight / whole) for weight in weights]
    scale = total / sum(fractions)
    spans, start = [], 0.0
    for fraction in fractions:
        spans.append((start, start + fraction * scale))
        start = spans[-1][1]
    return spans


def part_spans(parts: Sequence[str]) -> list[tuple[float, float]]:
    """The (start, end) seconds of each part."""
    weights = [float(len(part.split())) for part in parts]
    return shares(weights, estimated_seconds(parts), min_share=MIN_SHARE)


def spoken_weight(word: str) -> float:
    """The relative time that a word takes to speak: by its letters, with a pause at the end of a sentence."""
    pause = 3.0 if word[-1:] in ".!?…:" else 1.5 if word[-1:] in ",;" else 0.0
    return min(len(word), 14) + 2.0 + pause


def on_twos(seconds: float) -> float:
    """The time of every second frame: enough for slow motion, at half the cost (animation "on twos")."""
    return math.floor(seconds * FRAMES_PER_SECOND / 2 + 1e-6) * 2 / FRAMES_PER_SECOND


def cues_for(parts: Sequence[str], setter: Typesetter) -> list[Cue]:
    """The whole script, without gaps, from 0 to the end of the video."""
    spans = zip(parts, part_spans(parts), strict=True)
    return list(chain.from_iterable(_cues(n, text, span, setter) for n, (text, span) in enumerate(spans)))


def _cues(part: int, text: str, span: tuple[float, float], setter: Typesetter) -> list[Cue]:
    start, end = span
    max_pages = max(1, int((end - start) / MIN_SECONDS_PER_PAGE))
    pages = lay_out(text, setter, BOXES[part], SIZES[part], max_pages)
    weights = [sum(spoken_weight(word.text) for word in page.words) for page in pages]
    return [
        Cue(page, part, start + first, start + last, _spoken(page, start + first, start + last))
        for page, (first, last) in zip(pages, shares(weights, end - start), strict=True)
    ]


def _spoken(page: Page, start: float, end: float) -> tuple[tuple[float, float], ...]:
    # Speaking starts when the page has faded in and ends shortly before it fades out.
    begin = start + 0.2
    spans = shares([spoken_weight(word.text) for word in page.words], max(0.2, end - 0.3 - begin))
    return tuple((begin + first, begin + last) for first, last in spans)


class Captions:
    """Draws the cue of any moment. Pages are kept as masks, so that highlighting a word is one filled rectangle."""

    def __init__(self, cues: Sequence[Cue], setter: Typesetter, theme: Theme) -> None:
        self.cues = cues
        self._setter = setter
        self._theme = theme
        self._starts = [cue.start for cue in cues]

    def cue_at(self, seconds: float) -> Cue:
        """The current cue; after the end, the last one."""
        return self.cues[max(0, bisect_right(self._starts, seconds) - 1)]

    def draw(self, image: Image.Image, at: tuple[int, int], seconds: float) -> None:
        """Paste the captions; ``at`` is the top left corner of their box."""
        cue = self.cue_at(seconds)
        opacity = self._opacity(cue, seconds)
        mask = faded(_page_mask(cue.page, self._setter), opacity)
        rise = round((1 - opacity) * RISE_PIXELS) if seconds < cue.end - FADE_SECONDS else 0
        image.paste(self._paint(cue, seconds, mask.size), (at[0] - _OVERHANG, at[1] + rise), mask)

    def _opacity(self, cue: Cue, seconds: float) -> float:
        """Eased, but the first and the last frame show a page in full: posters and ended players show these."""
        fade_in = 1.0 if cue is self.cues[0] else (seconds - cue.start) / FADE_SECONDS
        fade_out = 1.0 if cue is self.cues[-1] else max(0.0, (cue.end - seconds) / (FADE_SECONDS / 2))
        share = min(1.0, fade_in, fade_out)
        return share * share * (3 - 2 * share)

    def _paint(self, cue: Cue, seconds: float, size: tuple[int, int]) -> Image.Image:
        paint = Image.new("RGB", size, self._theme.unspoken)
        draw = ImageDraw.Draw(paint)
        for word, (start, end) in zip(cue.page.words, cue.spoken, strict=True):
            if seconds < start:
                break
            top = word.y - BASELINE * cue.page.size * LINE_HEIGHT
            box = (word.x, top, word.x + word.width + 2 * _OVERHANG, top + cue.page.size * LINE_HEIGHT)
            draw.rectangle(box, fill=self._colour(seconds, start, end))
        return paint

    def _colour(self, seconds: float, start: float, end: float) -> RGB:
        """A word turns to the accent colour while it is spoken, and to white afterwards."""
        if seconds < end:
            return mixed(self._theme.unspoken, self._theme.accent, min(1.0, (seconds - start) / 0.12))
        return mixed(self._theme.accent, WHITE, min(1.0, (seconds - end) / 0.25))


def faded(mask: Image.Image, opacity: float) -> Image.Image:
    """The mask itself when ``opacity`` is 1."""
    return mask.point([round(level * opacity) for level in range(256)]) if opacity < 1 else mask


@lru_cache(maxsize=32)
def _page_mask(page: Page, setter: Typesetter) -> Image.Image:
    mask = Image.new("L", (BOXES[0].width + 2 * _OVERHANG, page.height + page.size // 3))
    draw = ImageDraw.Draw(mask)
    for word in page.words:
        setter.draw(draw, (word.x + _OVERHANG, word.y), word.text, page.size, 255, bold=True)
    return mask
