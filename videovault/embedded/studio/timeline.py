"""When what is said: the length of a video from its words, and the share of each part."""

import math
from collections.abc import Sequence

WORDS_PER_MINUTE = 150
SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 20.0
# A part of one word still stays long enough to be read.
LEAST_SHARE = 0.18

FRAMES_A_SECOND = 25


def estimated_seconds(parts: Sequence[str]) -> float:
    """The spoken length of all parts together, kept between 5 and 20 seconds."""
    words = sum(len(part.split()) for part in parts)
    return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, words * 60 / WORDS_PER_MINUTE))


def shares(weights: Sequence[float], total: float, *, least: float = 0.0) -> list[tuple[float, float]]:
    """``total`` seconds as touching (start, end) spans by weight, none below ``least`` of the whole."""
    whole = sum(weights) or 1.0
    fractions = [max(least, weight / whole) for weight in weights]
    scale = total / sum(fractions)
    spans, start = [], 0.0
    for fraction in fractions:
        spans.append((start, start + fraction * scale))
        start = spans[-1][1]
    return spans


def part_spans(parts: Sequence[str]) -> list[tuple[float, float]]:
    """The (start, end) seconds of each part."""
    weights = [float(len(part.split())) for part in parts]
    return shares(weights, estimated_seconds(parts), least=LEAST_SHARE)


def spoken_weight(word: str) -> float:
    """How long a word takes to say, next to others: by its letters, with a rest at the end of a sentence."""
    rest = 3.0 if word[-1:] in ".!?…:" else 1.5 if word[-1:] in ",;" else 0.0
    return min(len(word), 14) + 2.0 + rest


def on_twos(seconds: float) -> float:
    """The moment of every second frame: slow motion needs no more, animators say, and it costs half."""
    return math.floor(seconds * FRAMES_A_SECOND / 2 + 1e-6) * 2 / FRAMES_A_SECOND
