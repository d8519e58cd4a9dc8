"""The parts of a long gallery: whatever happens to a card, few of them change, and together they are the gallery."""

from collections.abc import Callable
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videovault.state.gallery import PAGE, PARTS, Parts, parted
from videovault.state.view_models import Card

LONG = [Card(video_id=f"video_{number}", title=f"Film {number}") for number in range(4 * PAGE)]
NEW = Card(video_id="video_new")


def test_pages_are_cut_evenly_and_what_comes_beyond_them_is_a_page_of_its_own() -> None:
    first = parted(LONG[:PAGE], [])
    second = parted(LONG[: 2 * PAGE], first)
    assert parted([], []) == [[]]
    assert first == [LONG[:PAGE]]
    assert second == [LONG[:PAGE], LONG[PAGE : 2 * PAGE]]


def test_last_page_is_filled_before_another_begins() -> None:
    before = parted(LONG[: PAGE + 1], [])
    assert [len(part) for part in parted(LONG[: 2 * PAGE + 1], before)] == [PAGE, PAGE, 1]


def test_what_there_is_no_room_for_is_in_the_last_part() -> None:
    cards = [Card(video_id=str(number)) for number in range((len(PARTS) + 2) * PAGE)]
    parts = parted(cards, parted(cards[:PAGE], []))
    assert (len(parts), len(parts[-1])) == (len(PARTS), 3 * PAGE)
    assert together(parts) == cards


@pytest.mark.parametrize(
    ("happens", "changed"),
    [
        (lambda cards: [NEW, *cards], {0}),
        (lambda cards: cards[:30] + cards[31:], {1}),
        (lambda cards: cards[1:], {0}),
        (lambda cards: cards[:24] + cards[48:], {1}),
        (lambda cards: [*cards[:50], NEW, *cards[51:]], {2}),
        (lambda cards: [*cards[:3], *cards[4:], cards[3]], {0, 3}),
        (lambda cards: [cards[-1], *cards[:-1]], {0, 3}),
        (lambda cards: [NEW, *cards[:-1]], {0, 3}),
    ],
    ids=[
        "one comes",
        "one goes",
        "the first of all goes",
        "a whole page goes",
        "one becomes another",
        "one moves down",
        "one moves up",
        "one comes and pushes one out",
    ],
)
def test_what_happens_to_a_card_changes_its_part_only(
    happens: Callable[[list[Card]], list[Card]], changed: set[int]
) -> None:
    before = parted(LONG, [])
    after = parted(happens(LONG), before)
    assert together(after) == happens(LONG)
    assert {number for number, part in enumerate(after) if part != before[number]} == changed


@given(st.lists(st.lists(st.sampled_from(LONG), unique=True), max_size=6))
def test_parts_are_the_gallery_whatever_it_becomes(galleries: list[list[Card]]) -> None:
    parts: Parts = []
    for cards in galleries:
        parts = parted(cards, parts)
        assert together(parts) == cards
        assert len(parts) <= len(PARTS)


def together(parts: Parts) -> list[Card]:
    return list(chain(*parts))
