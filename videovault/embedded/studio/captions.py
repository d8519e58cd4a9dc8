"""Captions: the script in pages, shown one after another, with each word highlighted as it is spoken."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from PIL import Image, ImageDraw

from videovault.embedded.studio.text_layout import BASELINE, LINE_HEIGHT, Box, Page, Typesetter, lay_out
from videovault.embedded.studio.theme import RGB, WHITE, Theme, mixed
from videovault.embedded.studio.timeline import part_spans, shares, spoken_weight

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
        self._masks: dict[int, Image.Image] = {}

    def cue_at(self, seconds: float) -> Cue:
        """The current cue; after the end, the last one."""
        return self.cues[max(0, bisect_right(self._starts, seconds) - 1)]

    def draw(self, image: Image.Image, at: tuple[int, int], seconds: float) -> None:
        """Paste the captions; ``at`` is the top left corner of their box."""
        cue = self.cue_at(seconds)
        opacity = self._opacity(cue, seconds)
        mask = self._mask(cue)
        if opacity < 1:
            mask = mask.point([round(level * opacity) for level in range(256)])
        rise = round((1 - opacity) * RISE_PIXELS) if seconds < cue.end - FADE_SECONDS else 0
        image.paste(self._paint(cue, seconds, mask.size), (at[0] - _OVERHANG, at[1] + rise), mask)

    def _opacity(self, cue: Cue, seconds: float) -> float:
        """Eased, but the first and the last frame show a page in full: posters and ended players show these."""
        fade_in = 1.0 if cue is self.cues[0] else (seconds - cue.start) / FADE_SECONDS
        fade_out = 1.0 if cue is self.cues[-1] else max(0.0, (cue.end - seconds) / (FADE_SECONDS / 2))
        share = min(1.0, fade_in, fade_out)
        return share * share * (3 - 2 * share)

    def _mask(self, cue: Cue) -> Image.Image:
        key = id(cue)
        if key not in self._masks:
            self._masks[key] = _page_mask(cue.page, self._setter)
        return self._masks[key]

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


def _page_mask(page: Page, setter: Typesetter) -> Image.Image:
    mask = Image.new("L", (BOXES[0].width + 2 * _OVERHANG, page.height + page.size // 3))
    draw = ImageDraw.Draw(mask)
    for word in page.words:
        setter.draw(draw, (word.x + _OVERHANG, word.y), word.text, page.size, 255, bold=True)
    return mask
