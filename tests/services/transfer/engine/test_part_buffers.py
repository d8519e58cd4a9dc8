"""Slices: whoever fills which bytes of a part, and however often it is cut, the sum is that of the whole."""

import zlib
from threading import Thread
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.services.transfer.engine.conftest import PART
from tests.support.misbehaving_server import MIB, payload
from videovault.services.transfer.engine import part_buffers
from videovault.services.transfer.engine.part_buffers import (
    SILENT_SECONDS,
    SLOW_SECONDS,
    SPLIT_GRACE_SECONDS,
    PartBuffer,
    PartBuffers,
    Reader,
    Subrange,
    slowest_subrange,
)
from videovault.services.transfer.engine.types import PartLayout

pytestmark = pytest.mark.thorough

FIRST, OTHER = Reader(is_first=True), Reader(is_first=False, rate=10.0 * MIB)
START = 1_000_000
steps = st.tuples(st.sampled_from(["begin", "room", "took", "cut"]), st.integers(0, 50), st.integers(0, 3000))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that slices see, in its only element."""
    now = [1000.0]
    monkeypatch.setattr(part_buffers, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def nothing() -> None:
    """Nobody stops it."""


def a_part(length: int, count: int = 1) -> PartBuffer:
    part = PartBuffer(1, 0, START, bytearray(length))
    step = -(-length // count)
    for offset in range(0, length, step):
        part.slices.append(Subrange(START + offset, min(step, length - offset), part))
    return part


def fill(piece: Subrange, body: bytes, most: int) -> None:
    """As one read of a lane does, which may bring less than there is room for."""
    room = piece.room(max(1, most))
    at = piece.position - START
    room[:] = body[at : at + len(room)]
    piece.took(room[: max(1, len(room) - most % 3)] if room else room)


@given(st.integers(1, 9000), st.integers(1, 4), st.lists(steps, max_size=60))
def test_any_cuts_of_a_part_give_the_sum_of_the_whole(
    length: int, count: int, todo: list[tuple[str, int, int]]
) -> None:
    body, part = payload(length), a_part(length, count)
    for what, which, number in todo:
        piece = part.slices[which % len(part.slices)]
        if what == "begin":
            piece.begin()
        elif what == "room":
            piece.room(number)
        elif what == "took":
            fill(piece, body, number)
        else:
            piece.cut()
    for piece in reversed(part.slices):  # the order does not matter
        while piece.left:
            fill(piece, body, 1000)
    assert bytes(part.buffer) == body
    assert part.crc32 == zlib.crc32(body)
    ends = [piece.end for piece in part.slices]
    assert [piece.start for piece in part.slices] == [START, *ends[:-1]]
    assert ends[-1] == START + length


def test_what_is_being_read_when_a_slice_is_cut_stays_its_own() -> None:
    piece = a_part(1000).slices[0]
    piece.begin()
    room = piece.room(100)
    rest = piece.cut()
    piece.took(room)
    assert (piece.filled, piece.left, rest.start) == (100, 0, START + 100)


def test_one_that_was_cut_before_it_was_read_is_told_from_the_rest_with_the_same_start() -> None:
    part = a_part(1000)
    empty = part.slices[0]
    rest = empty.cut()
    last = rest.cut()
    assert (empty.start, empty.length) == (rest.start, rest.length) == (START, 0)
    assert part.slices == [empty, rest, last]


def test_a_slice_is_slow_only_beside_a_lane_of_twice_its_rate(clock: list[float]) -> None:
    piece = a_part(4 * MIB).slices[0]
    piece.begin()
    piece.took(piece.room(MIB))
    assert not piece.is_slow(clock[0] + SLOW_SECONDS / 2, rate=1000 * MIB)
    assert not piece.is_slow(clock[0] + 1, rate=2 * MIB)
    assert piece.is_slow(clock[0] + 1, rate=2.1 * MIB)
    piece.took(piece.room(3 * MIB - 100_000))
    assert not piece.is_slow(clock[0] + 100, rate=1000 * MIB)  # not worth a request of its own


def test_what_an_earlier_lane_read_does_not_make_the_next_one_look_fast(clock: list[float]) -> None:
    piece = a_part(4 * MIB).slices[0]
    piece.begin()
    piece.took(piece.room(3 * MIB))
    clock[0] += 10
    piece.begin()
    piece.took(piece.room(1000))
    assert piece.is_slow(clock[0] + 1, rate=MIB)


def test_one_that_was_claimed_ahead_is_not_slow_for_having_waited(clock: list[float]) -> None:
    piece = a_part(4 * MIB).slices[0]
    piece.begin()
    clock[0] += 60
    piece.begin()
    piece.took(piece.room(MIB))
    assert not piece.is_slow(clock[0] + SLOW_SECONDS, rate=2 * MIB)
    assert not a_part(MIB).slices[0].is_slow(SILENT_SECONDS / 2, rate=2 * MIB)


def test_the_first_of_the_slow_ones_is_taken_over(clock: list[float]) -> None:
    part = a_part(4 * MIB, 4)
    for piece in part.slices:
        piece.begin()
    part.slices[0].took(part.slices[0].room(MIB))
    clock[0] += 2
    assert slowest_subrange(reversed(part.slices), rate=MIB) is part.slices[1]
    assert slowest_subrange(part.slices, rate=0.0) is None


def test_a_lane_has_a_moment_to_finish_what_it_was_reading(clock: list[float]) -> None:
    piece = a_part(4 * MIB).slices[0]
    piece.begin()
    room = piece.room(1000)
    assert not piece.is_over(clock[0] + 100)
    piece.cut()
    assert not piece.is_over(clock[0] + SPLIT_GRACE_SECONDS / 2)
    assert piece.is_over(clock[0] + SPLIT_GRACE_SECONDS + 0.1)
    piece.took(room)
    assert piece.is_over(clock[0])


def a_board(total: int) -> PartBuffers:
    plan = PartLayout(total, PART)
    return PartBuffers(plan, plan.numbers(), window=3, widest=3)


def test_a_slice_that_is_given_back_after_a_cut_goes_on_where_it_ended(clock: list[float]) -> None:
    board = a_board(PART)
    slow = board.claim(nothing, FIRST)
    assert slow
    slow.took(slow.room(100_000))
    others = [board.claim(nothing, OTHER) for _ in range(3)]
    clock[0] += 2
    rest = board.claim(nothing, OTHER)
    assert rest
    assert (slow.end, rest.start) == (100_000, 100_000)
    assert slow.part.slices[:2] == [slow, rest]
    board.give_back(rest)
    board.give_back(slow)  # it has all it may have
    assert board.claim(nothing, OTHER) is rest
    assert rest.cut_at is None
    for piece in (rest, *others):
        assert piece
        piece.took(piece.room(PART))
        board.give_back(piece)
    full = board.take_full()
    assert full
    assert full.crc32 == zlib.crc32(bytes(PART))
    assert board.claim(nothing, OTHER) is None


def test_one_that_was_cut_to_nothing_is_done_when_it_is_given_back(clock: list[float]) -> None:
    board = a_board(PART)
    waiting = [board.claim(nothing, FIRST) for _ in range(4)]
    clock[0] += 2
    rest = board.claim(nothing, OTHER)
    empty = waiting[0]
    assert empty
    assert rest
    assert (empty.length, rest.start, rest.length) == (0, 0, PART // 4)
    board.give_back(empty)
    for piece in (rest, *waiting[1:]):
        assert piece
        piece.took(piece.room(PART))
        board.give_back(piece)
    assert board.take_full() is rest.part


def test_a_lane_with_nothing_to_do_waits_for_what_others_may_give_back() -> None:
    board = a_board(PART // 4)
    only = board.claim(nothing, FIRST)
    assert only
    claimed: list[Subrange | None] = []
    waiting = Thread(target=lambda: claimed.append(board.claim(nothing, OTHER)))
    waiting.start()
    board.give_back(only)
    waiting.join(10)
    assert claimed == [only]


def test_reserved_slices_are_for_the_first_lane_until_its_stream_ends() -> None:
    board = a_board(2 * PART)
    board.reserve(PART)
    mine = board.claim(nothing, FIRST)
    theirs = board.claim(nothing, OTHER)
    assert mine
    assert theirs
    assert (mine.start, theirs.start) == (0, PART)
    board.give_back(mine)
    board.reserve(0)
    assert board.claim(nothing, OTHER) is mine


@pytest.mark.parametrize("read", [0, 1, PART // 4, PART // 4 + 1, PART - 1])
def test_an_unknown_length_ends_with_what_came(read: int) -> None:
    plan = PartLayout(None, PART)
    board = PartBuffers(plan, plan.numbers(), window=3, widest=3)
    left = PART + read
    while True:
        piece = board.claim(nothing, FIRST)
        assert piece
        count = min(left, piece.length)
        piece.took(piece.room(count))
        left -= count
        if piece.left:
            board.end_at(piece)
            break
        board.give_back(piece)
    lengths = []
    while full := board.take_full():
        lengths.append(len(full.body))
        board.stored(full)
    assert lengths == [PART, read][: 2 if read else 1]
    assert board.claim(nothing, FIRST) is None


def test_memory_that_a_narrower_window_has_no_place_for_is_let_go() -> None:
    plan = PartLayout(100 * MIB, PART)
    board = PartBuffers(plan, plan.numbers(), window=8, widest=8)
    pieces = [board.claim(nothing, FIRST) for _ in range(8 * 4)]
    for piece in pieces:
        assert piece
        piece.took(piece.room(PART))
        board.give_back(piece)
    for _ in range(8):
        full = board.take_full()
        assert full
        board.stored(full)
    assert len(board._free) == 8
    board.set_window(3)
    assert len(board._free) == 3
