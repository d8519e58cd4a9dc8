"""Letters: the font inside Pillow, helped out by fonts of the system, so that any text is drawn and none fails."""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import groupby

from PIL import ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int] | tuple[int, int, int, int] | int

BUILT_IN = ""
# Tried in this order; each that is installed helps with the letters the ones before it lack.
HELPERS = (
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
# No font has a picture for this one: what it draws is what "missing" looks like.
_UNASSIGNED = "\uffff"
MOST_LETTERS_A_LINE = 400
_LOOK_ALIKES = {"–": "-", "—": "-", "−": "-", "‑": "-", "„": '"', "‚": "'", "•": "·", "→": ">", "€": "EUR"}  # noqa: RUF001 - what people type


@cache
def font(name: str, size: int) -> Font:
    """The built-in font for an empty name; raises OSError when a named one is not installed."""
    if name == BUILT_IN:
        return ImageFont.load_default(size=size)
    return ImageFont.truetype(name, size)


@cache
def installed() -> tuple[str, ...]:
    """The names of usable fonts, the built-in one first."""
    return (BUILT_IN, *(name for name in HELPERS if _is_installed(name)))


class Typesetter:
    """Measures and draws text in one main font, chosen as the one that knows most of ``sample``."""

    def __init__(self, sample: str, fonts: Iterable[str] | None = None) -> None:
        available = list(installed() if fonts is None else fonts)
        letters = {character for character in sample if character.isalpha()}
        main = min(available, key=lambda name: sum(not _draws(name, letter) for letter in letters))
        self._fonts = [main, *(name for name in available if name != main)]

    def clean(self, text: str) -> str:
        """The text as it can be drawn: one line, unknown characters replaced by look-alikes or left out."""
        drawable: list[str] = []
        for character in text:
            orphaned = unicodedata.combining(character) and not (drawable and drawable[-1].strip())
            drawable.append("" if orphaned else self._drawable(character))
        return " ".join("".join(drawable).split())

    @lru_cache(maxsize=8192)  # noqa: B019 - a typesetter lives as long as one render, whose process then ends
    def width(self, text: str, size: int, *, bold: bool = False) -> float:
        """In pixels."""
        extra = _boldness(size) if bold else 0
        return sum(font(name, size).getlength(run) for name, run in self._runs(text)) + extra

    def prefix(self, text: str, size: int, width: float, *, bold: bool = False) -> str:
        """The longest beginning of the text that fits ``width`` pixels, at least one character."""
        longest = range(1, min(len(text), MOST_LETTERS_A_LINE) + 1)
        return text[
            : max(1, bisect_right(longest, width, key=lambda n: self.width(text[:n], size, bold=bold)))
        ]

    def fitted(self, text: str, size: int, width: float, *, bold: bool = False) -> str:
        """As much of the text as fits ``width`` pixels, an ellipsis standing for the rest."""
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


def _boldness(size: int) -> int:
    """The built-in font has one weight; drawn again whole pixels to the right it is bold, evenly so, and
    small letters keep the gaps that an outline would close."""
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
    return character == " " or bytes(face.getmask(character)) != _missing(name)


@cache
def _missing(name: str) -> bytes:
    return bytes(font(name, 20).getmask(_UNASSIGNED))
