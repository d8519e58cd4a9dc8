"""Text in a box: words wrapped into lines, lines gathered into pages, right-to-left scripts in their own order."""

import unicodedata
from dataclasses import dataclass
from itertools import chain, groupby

from videovault.embedded.studio.topic import SENTENCE_END, shortened
from videovault.embedded.studio.typefaces import MOST_LETTERS_A_LINE, Typesetter

LINE_HEIGHT = 1.3
# How far down its line a baseline lies, so that both ascenders and descenders are inside the line.
BASELINE = 0.77
# More than ever fits a video; what is longer need not be measured to know it.
MOST_LETTERS = 8000


@dataclass(frozen=True)
class Word:
    """A word and the left end of its baseline, in pixels from the top left of its page."""

    text: str
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Page:
    """What is shown at once; ``words`` are in the order they are spoken."""

    words: tuple[Word, ...]
    size: int
    height: int
    right_to_left: bool


@dataclass(frozen=True)
class Box:
    """The room for captions, in pixels."""

    width: int
    height: int


def set_pages(text: str, setter: Typesetter, box: Box, sizes: tuple[int, ...], most_pages: int) -> list[Page]:
    """The text in the largest size that needs no more than ``most_pages``; what then still does not fit
    is left out after an ellipsis. Never empty: a text without a drawable letter becomes three dots."""
    clean = shortened(setter.clean(text), MOST_LETTERS) or "· · ·"
    for size in sizes:
        pages = _paged(clean, setter, box, size)
        if len(pages) <= most_pages:
            break
    if len(pages) > most_pages:
        pages = pages[:most_pages]
        pages[-1][-1] = _cut_off(pages[-1][-1], setter, box.width, size)
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
    """A word wider than the line is broken where the line ends, with a hyphen in scripts that use one."""
    pieces = []
    while not _fits(word, setter, width, size):
        piece = setter.prefix(word, size, width - setter.width("-", size), bold=True)
        word = word[len(piece) :]
        pieces.append(piece + "-" if piece[-1].lower() != piece[-1].upper() else piece)
    return [*pieces, word]


def _fits(text: str, setter: Typesetter, width: int, size: int) -> bool:
    return len(text) <= MOST_LETTERS_A_LINE and setter.width(text, size, bold=True) <= width


def _paged(text: str, setter: Typesetter, box: Box, size: int) -> list[list[list[str]]]:
    """Pages of lines of words; a new page begins with a new sentence wherever that is possible."""
    most_lines = max(1, int(box.height / (size * LINE_HEIGHT)))
    pages: list[list[list[str]]] = []
    shown = ""
    for sentence in SENTENCE_END.split(text):
        longer = f"{shown} {sentence}" if shown else sentence
        lines = _wrapped(longer, setter, box.width, size)
        if shown and len(lines) > most_lines:
            longer, shown = sentence, ""
            lines = _wrapped(sentence, setter, box.width, size)
        if shown:
            pages.pop()
        pages += _evenly(lines, most_lines)
        shown = longer if len(lines) <= most_lines else ""
    return pages


def _evenly(lines: list[list[str]], most_lines: int) -> list[list[list[str]]]:
    """A sentence longer than a page, on pages of about equal length."""
    count = -(-len(lines) // most_lines)
    return [lines[i * len(lines) // count : (i + 1) * len(lines) // count] for i in range(count)]


def _cut_off(line: list[str], setter: Typesetter, width: int, size: int) -> list[str]:
    """The line with an ellipsis after its last word, or in place of it if there is no room."""
    closed = [*line[:-1], line[-1].rstrip(".,;:!?-") + "…"]
    if _fits(" ".join(closed), setter, width, size):
        return closed
    return (
        _cut_off(line[:-1], setter, width, size) if len(line) > 1 else [setter.fitted(closed[0], size, width)]
    )


def _placed(lines: list[list[str]], setter: Typesetter, box: Box, size: int) -> Page:
    space = setter.width(" ", size)
    right_to_left = _is_right_to_left(" ".join(word for line in lines for word in line))
    words: list[Word] = []
    for row, line in enumerate(lines):
        widths = [setter.width(word, size, bold=True) for word in line]
        x = box.width - sum(widths) - space * (len(line) - 1) if right_to_left else 0.0
        places: dict[int, Word] = {}
        for index in _visual_order(line, right_to_left=right_to_left):
            places[index] = Word(line[index], x, (row + BASELINE) * size * LINE_HEIGHT, widths[index])
            x += widths[index] + space
        words += [places[index] for index in range(len(line))]
    return Page(tuple(words), size, round(len(lines) * size * LINE_HEIGHT), right_to_left)


def _visual_order(line: list[str], *, right_to_left: bool) -> list[int]:
    """From left to right, the numbers of the words: each run against the base direction is turned round."""
    order: list[int] = []
    for against, run in groupby(range(len(line)), lambda i: _is_right_to_left(line[i]) != right_to_left):
        numbers = list(run)
        # In the end a right-to-left line is turned round as a whole, so its Latin runs are turned twice.
        order += reversed(numbers) if against else numbers
    return order[::-1] if right_to_left else order


def _is_right_to_left(text: str) -> bool:
    """By the first letter that has a direction, as the Unicode bidirectional algorithm does."""
    kinds = (unicodedata.bidirectional(character) for character in text)
    return next((kind in {"R", "AL"} for kind in kinds if kind in {"L", "R", "AL"}), False)
