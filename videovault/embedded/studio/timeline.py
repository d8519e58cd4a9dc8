"""Timing: the length of a video from its words, and the share of each part."""

import math
from collections.abc import Sequence

WORDS_PER_MINUTE = 150
MIN_SECONDS, MAX_SECONDS = 5.0, 20.0
# A part of one word must still be readable.
MIN_SHARE = 0.18

FRAMES_PER_SECOND = 25


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
