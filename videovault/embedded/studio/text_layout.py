"""Text in boxes, for any script: fonts with fallbacks, lines, pages and right-to-left order.

Pillow measures and draws. The font inside Pillow is always there; fonts of the system help with what it lacks.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain, groupby

from PIL import ImageDraw, ImageFont

from videovault.embedded.studio.script_writer import SENTENCE_END, shortened

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int] | tuple[int, int, int, int] | int

BUILT_IN = ""
# Tried in this order for characters that the built-in font lacks.
FALLBACKS = (
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "segoeui.ttf",
    "msyh.ttc",
    "Arial Unicode.ttf",
    "Symbola.ttf",
)
LINE_HEIGHT = 1.3
# Position of the baseline in its line; ascenders and descenders both fit.
BASELINE = 0.77
# More than fits any video, so longer texts need not be measured.
MAX_CHARACTERS = 8000
# No font has a glyph for it, so it draws what the font draws for any missing character.
_UNASSIGNED = "\uffff"
MAX_CHARACTERS_PER_LINE = 400
_LOOK_ALIKES = {"–": "-", "—": "-", "−": "-", "‑": "-", "„": '"', "‚": "'", "•": "·", "→": ">", "€": "EUR"}  # noqa: RUF001 - what people type


@dataclass(frozen=True)
class Word:
    """A word; ``x`` and ``y`` are the left end of its baseline, in pixels from the top left of its page."""

    text: str
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Page:
    """What is shown at once; ``words`` are in spoken order."""

    words: tuple[Word, ...]
    size: int
    height: int
    right_to_left: bool


@dataclass(frozen=True)
class Box:
    """The space for captions, in pixels."""

    width: int
    height: int


@cache
def font(name: str, size: int) -> Font:
    """The built-in font for an empty name; raises OSError when a named one is not installed."""
    if name == BUILT_IN:
        return ImageFont.load_default(size=size)
    return ImageFont.truetype(name, size)


@cache
def installed() -> tuple[str, ...]:
    """The names of usable fonts, the built-in one first."""
    return (BUILT_IN, *(name for name in FALLBACKS if _is_installed(name)))


class Typesetter:
    """Measures and draws text in the font that covers most letters of ``sample``, and in others where it lacks a glyph."""

    def __init__(self, sample: str, fonts: Iterable[str] | None = None) -> None:
        available = list(installed() if fonts is None else fonts)
        letters = {character for character in sample if character.isalpha()}
        main = min(available, key=lambda name: sum(not _draws(name, letter) for letter in letters))
        self._fonts = [main, *(name for name in available if name != main)]

    def clean(self, text: str) -> str:
        """The text as it can be drawn: on one line, unknown characters replaced by similar ones or removed."""
        drawable: list[str] = []
        for character in text:
            is_orphan = unicodedata.combining(character) and not (drawable and drawable[-1].strip())
            drawable.append("" if is_orphan else self._drawable(character))
        return " ".join("".join(drawable).split())

    @lru_cache(maxsize=8192)  # noqa: B019 - a typesetter lives as long as one render, whose process then ends
    def width(self, text: str, size: int, *, bold: bool = False) -> float:
        """In pixels."""
        extra = _boldness(size) if bold else 0
        return sum(font(name, size).getlength(run) for name, run in self._runs(text)) + extra

    def prefix(self, text: str, size: int, width: float, *, bold: bool = False) -> str:
        """The longest start of the text that fits ``width`` pixels; at least one character."""
        longest = range(1, min(len(text), MAX_CHARACTERS_PER_LINE) + 1)
        return text[
            : max(1, bisect_right(longest, width, key=lambda n: self.width(text[:n], size, bold=bold)))
        ]

    def fitted(self, text: str, size: int, width: float, *, bold: bool = False) -> str:
        """As much of the text as fits ``width`` pixels; an ellipsis replaces the rest."""
        beginning = self.prefix(text, size, width, bold=bold)
        if beginning == text:
            return text
        room = width - self.width("…", size, bold=bold)
        return self.prefix(beginning, size, room, bold=bold).rstrip() + "…"

    def draw(
        self,
        draw: ImageDraw.ImageDraw,
        at: tuple[float, float],
        text: str,
        size: int,
        fill: Colour,
        *,
        bold: bool = False,
    ) -> None:
        """Draw from the left end of the baseline ``at`` (x, y)."""
        x, y = at
        for name, run in self._runs(text):
            face = font(name, size)
            for shift in range(_boldness(size) + 1) if bold else (0,):
                draw.text((round(x) + shift, round(y)), run, fill=fill, font=face, anchor="ls")
            x += face.getlength(run)

    def _runs(self, text: str) -> Iterator[tuple[str, str]]:
        for name, run in groupby(text, key=self._font_for):
            yield name, "".join(run)

    @lru_cache(maxsize=4096)  # noqa: B019 - a typesetter lives as long as one render, whose process then ends
    def _font_for(self, character: str) -> str:
        return next((name for name in self._fonts if _draws(name, character)), self._fonts[0])

    def _drawable(self, character: str) -> str:
        if character.isspace():
            return " "
        if (
            unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"}
            or "\ufe00" <= character <= "\ufe0f"
        ):
            return ""
        candidates = (character, _LOOK_ALIKES.get(character, ""), unicodedata.normalize("NFKD", character))
        for candidate in candidates:
            known = "".join(c for c in candidate if any(_draws(name, c) for name in self._fonts))
            if known:
                return known
        return ""


def lay_out(text: str, setter: Typesetter, box: Box, sizes: tuple[int, ...], max_pages: int) -> list[Page]:
    """The text in the largest of ``sizes`` that needs at most ``max_pages``; an ellipsis replaces what still does not fit.

    Never empty: a text without a drawable character becomes three dots.
    """
    clean = shortened(setter.clean(text), MAX_CHARACTERS) or "· · ·"
    for size in sizes:
        pages = _paged(clean, setter, box, size)
        if len(pages) <= max_pages:
            break
    if len(pages) > max_pages:
        pages = pages[:max_pages]
        pages[-1][-1] = _with_ellipsis(pages[-1][-1], setter, box.width, size)
    return [_placed(lines, setter, box, size) for lines in pages]


def _wrapped(text: str, setter: Typesetter, width: int, size: int) -> list[list[str]]:
    space = setter.width(" ", size)
    lines: list[list[str]] = [[]]
    used = 0.0
    for word in chain.from_iterable(_pieces(whole, setter, width, size) for whole in text.split()):
        needed = setter.width(word, size, bold=True)
        if lines[-1] and used + space + needed > width:
            lines.append([])
            used = 0.0
        used += needed + (space if lines[-1] else 0.0)
        lines[-1].append(word)
    return lines


def _pieces(word: str, setter: Typesetter, width: int, size: int) -> list[str]:
    """Break a word that is wider than a line; with a hyphen in scripts that use one."""
    pieces = []
    while not _fits(word, setter, width, size):
        piece = setter.prefix(word, size, width - setter.width("-", size), bold=True)
        word = word[len(piece) :]
        pieces.append(piece + "-" if piece[-1].lower() != piece[-1].upper() else piece)
    return [*pieces, word]


def _fits(text: str, setter: Typesetter, width: int, size: int) -> bool:
    return len(text) <= MAX_CHARACTERS_PER_LINE and setter.width(text, size, bold=True) <= width


def _paged(text: str, setter: Typesetter, box: Box, size: int) -> list[list[list[str]]]:
    """Pages of lines of words; a page starts with a new sentence where possible."""
    max_lines = max(1, int(box.height / (size * LINE_HEIGHT)))
    pages: list[list[list[str]]] = []
    shown = ""
    for sentence in SENTENCE_END.split(text):
        longer = f"{shown} {sentence}" if shown else sentence
        lines = _wrapped(longer, setter, box.width, size)
        if shown and len(lines) > max_lines:
            longer, shown = sentence, ""
            lines = _wrapped(sentence, setter, box.width, size)
        if shown:
            pages.pop()
        pages += _evenly(lines, max_lines)
        shown = longer if len(lines) <= max_lines else ""
    return pages


def _evenly(lines: list[list[str]], max_lines: int) -> list[list[list[str]]]:
    """Split a sentence longer than a page into pages of about equal length."""
    count = -(-len(lines) // max_lines)
    return [lines[i * len(lines) // count : (i + 1) * len(lines) // count] for i in range(count)]


def _with_ellipsis(line: list[str], setter: Typesetter, width: int, size: int) -> list[str]:
    """The line with an ellipsis after its last word, or instead of words that leave no space for it."""
    closed = [*line[:-1], line[-1].rstrip(".,;:!?-") + "…"]
    if _fits(" ".join(closed), setter, width, size):
        return closed
    return (
        _with_ellipsis(line[:-1], setter, width, size)
        if len(line) > 1
        else [setter.fitted(closed[0], size, width)]
    )


def _placed(lines: list[list[str]], setter: Typesetter, box: Box, size: int) -> Page:
    space = setter.width(" ", size)
    right_to_left = _is_right_to_left(" ".join(word for line in lines for word in line))
    words: list[Word] = []
    for row, line in enumerate(lines):
        widths = [setter.width(word, size, bold=True) for word in line]
        x = box.width - sum(widths) - space * (len(line) - 1) if right_to_left else 0.0
        placed: dict[int, Word] = {}
        for index in _visual_order(line, right_to_left=right_to_left):
            placed[index] = Word(line[index], x, (row + BASELINE) * size * LINE_HEIGHT, widths[index])
            x += widths[index] + space
        words += [placed[index] for index in range(len(line))]
    return Page(tuple(words), size, round(len(lines) * size * LINE_HEIGHT), right_to_left)


def _visual_order(line: list[str], *, right_to_left: bool) -> list[int]:
    """Indexes of the words from left to right; each run against the base direction is reversed."""
    order: list[int] = []
    for against, run in groupby(range(len(line)), lambda i: _is_right_to_left(line[i]) != right_to_left):
        indexes = list(run)
        # A right-to-left line is reversed as a whole at the end, so its Latin runs are reversed twice.
        order += reversed(indexes) if against else indexes
    return order[::-1] if right_to_left else order


def _is_right_to_left(text: str) -> bool:
    """By the first letter with a direction, as in the Unicode bidirectional algorithm."""
    kinds = (unicodedata.bidirectional(character) for character in text)
    return next((kind in {"R", "AL"} for kind in kinds if kind in {"L", "R", "AL"}), False)


def _boldness(size: int) -> int:
    """Pixels by which bold text is drawn again to its right.

    The built-in font has one weight, and an outline would close the gaps of small letters.
    """
    return max(1, round(size / 30))


@cache
def _is_installed(name: str) -> bool:
    try:
        font(name, 20)
    except OSError:
        return False
    return True


@lru_cache(maxsize=16384)
def _draws(name: str, character: str) -> bool:
    face = font(name, 20)
    return character == " " or bytes(face.getmask(character)) != _missing_glyph(name)


@cache
def _missing_glyph(name: str) -> bytes:
    return bytes(font(name, 20).getmask(_UNASSIGNED))
