"""A gallery in parts that are sent one by one: a card that changes, comes or goes costs its own part only."""

from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from statistics import median_low

from videovault.state.shapes import Card

PAGE = 24
# The last one takes whatever the others have no room for.
PARTS = tuple(f"part_{number}" for number in range(40))

Parts = Sequence[Sequence[Card]]


def parted(cards: Sequence[Card], before: Parts) -> list[list[Card]]:
    """The cards cut where they were cut ``before``, what follows into pages."""
    place = {card.video_id: number for number, card in enumerate(cards)}
    kept = [[place[card.video_id] for card in part if card.video_id in place] for part in before]
    known = max(chain(*kept), default=-1) + 1
    cuts = [0, *accumulate(_starts(kept, known)[1:], max)]
    cuts += range(max(known, cuts[-1] + PAGE), len(cards), PAGE)
    return [list(cards[start:end]) for start, end in pairwise([*cuts[: len(PARTS)], len(cards)])]


def _starts(kept: Sequence[Sequence[int]], end: int) -> list[int]:
    """Where each part begins by now; one of which nothing is left, where the next one does."""
    middles = [-1]
    for places in kept:
        middles.append(median_low(places) if places else middles[-1])
    starts = [end]
    for places, middle in reversed(list(zip(kept, middles[:-1], strict=True))):
        # One that has moved up must not take all others along.
        in_order = [number for number in places if number > middle]
        starts.append(min(in_order, default=starts[-1]))
    return starts[:0:-1]
