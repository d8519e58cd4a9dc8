"""Subranges and part buffers: no byte is lost or read twice, however often a subrange is split."""

import zlib
from collections.abc import Iterable
from dataclasses import replace
from queue import Queue
from threading import Thread
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.services.transfer.engine.conftest import Stopped
from tests.support.misbehaving_server import MIB, payload
from videovault.services.transfer.engine import part_buffers as subrange_module
from videovault.services.transfer.engine.part_buffers import (
    LATENCIES_TO_SPLIT,
    MIN_SPLIT_SECONDS,
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

PART = 5 * MIB
FIRST, OTHER = Reader(is_first=True), Reader(is_first=False, rate=10.0 * MIB)
START = 1_000_000
steps = st.tuples(
    st.sampled_from(["start", "view", "advance", "split"]), st.integers(0, 50), st.integers(0, 3000)
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The subranges' clock; the test sets its only element."""
    now = [1000.0]
    monkeypatch.setattr(subrange_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def nothing() -> None:
    """The check of a transfer that is not stopped."""


def stop() -> None:
    raise Stopped


def new_part(length: int, count: int = 1) -> PartBuffer:
    part = PartBuffer(1, 0, START, bytearray(length))
    step = -(-length // count)
    for offset in range(0, length, step):
        part.subranges.append(Subrange(START + offset, min(step, length - offset), part))
    return part


def read_into(subrange: Subrange, body: bytes, max_bytes: int) -> None:
    """One read, which may return fewer bytes than the view holds."""
    view = subrange.next_view(max(1, max_bytes))
    at = subrange.position - START
    view[:] = body[at : at + len(view)]
    subrange.advance(view[: max(1, len(view) - max_bytes % 3)] if view else view)


@given(st.integers(1, 9000), st.integers(1, 4), st.lists(steps, max_size=60))
def test_any_splits_of_a_part_give_the_crc_of_the_whole(
    length: int, count: int, todo: list[tuple[str, int, int]]
) -> None:
    body, part = payload(length), new_part(length, count)
    for what, which, number in todo:
        subrange = part.subranges[which % len(part.subranges)]
        if what == "start":
            subrange.start_reading()
        elif what == "view":
            subrange.next_view(number)
        elif what == "advance":
            read_into(subrange, body, number)
        else:
            subrange.split()
    for subrange in reversed(part.subranges):  # the order does not matter
        while subrange.left:
            read_into(subrange, body, 1000)
    assert bytes(part.buffer) == body
    assert part.crc32 == zlib.crc32(body)
    ends = [subrange.end for subrange in part.subranges]
    assert [subrange.start for subrange in part.subranges] == [START, *ends[:-1]]
    assert ends[-1] == START + length


def test_a_split_leaves_the_bytes_being_read_to_the_current_reader() -> None:
    subrange = new_part(1000).subranges[0]
    subrange.start_reading()
    view = subrange.next_view(100)
    rest = subrange.split()
    subrange.advance(view)
    assert (subrange.filled, subrange.left, rest.start) == (100, 0, START + 100)


def test_a_subrange_split_before_it_was_read_is_distinct_from_the_rest_with_the_same_start() -> None:
    part = new_part(1000)
    empty = part.subranges[0]
    rest = empty.split()
    last = rest.split()
    assert (empty.start, empty.length) == (rest.start, rest.length) == (START, 0)
    assert part.subranges == [empty, rest, last]


def test_a_subrange_is_slow_only_compared_with_a_reader_of_twice_its_rate(clock: list[float]) -> None:
    subrange = new_part(4 * MIB).subranges[0]
    subrange.start_reading()
    subrange.advance(subrange.next_view(MIB))
    assert not subrange.is_slow(clock[0] + SLOW_SECONDS / 2, rate=1000 * MIB)
    assert not subrange.is_slow(clock[0] + 1, rate=2 * MIB)
    assert subrange.is_slow(clock[0] + 1, rate=2.1 * MIB)
    subrange.advance(subrange.next_view(3 * MIB - 100_000))
    assert not subrange.is_slow(clock[0] + 100, rate=1000 * MIB)  # not worth a request of its own


def test_bytes_of_an_earlier_reader_do_not_count_for_the_next_one(clock: list[float]) -> None:
    subrange = new_part(4 * MIB).subranges[0]
    subrange.start_reading()
    subrange.advance(subrange.next_view(3 * MIB))
    clock[0] += 10
    subrange.start_reading()
    subrange.advance(subrange.next_view(1000))
    assert subrange.is_slow(clock[0] + 1, rate=MIB)


def test_a_subrange_claimed_in_advance_is_not_slow_because_it_waited(clock: list[float]) -> None:
    subrange = new_part(4 * MIB).subranges[0]
    subrange.start_reading()
    clock[0] += 60
    subrange.start_reading()
    subrange.advance(subrange.next_view(MIB))
    assert not subrange.is_slow(clock[0] + SLOW_SECONDS, rate=2 * MIB)
    assert not new_part(MIB).subranges[0].is_slow(SILENT_SECONDS / 2, rate=2 * MIB)


def test_the_first_of_the_slow_subranges_is_taken_over(clock: list[float]) -> None:
    part = new_part(4 * MIB, 4)
    for subrange in part.subranges:
        subrange.start_reading()
    part.subranges[0].advance(part.subranges[0].next_view(MIB))
    clock[0] += 2
    assert slowest_subrange(reversed(part.subranges), rate=MIB) is part.subranges[1]
    assert slowest_subrange(part.subranges, rate=0.0) is None


def test_after_a_split_a_reader_has_time_to_finish_its_read(clock: list[float]) -> None:
    subrange = new_part(4 * MIB).subranges[0]
    subrange.start_reading()
    view = subrange.next_view(1000)
    assert not subrange.should_stop(clock[0] + 100)
    subrange.split()
    assert not subrange.should_stop(clock[0] + SPLIT_GRACE_SECONDS / 2)
    assert subrange.should_stop(clock[0] + SPLIT_GRACE_SECONDS + 0.1)
    subrange.advance(view)
    assert subrange.should_stop(clock[0])


def new_buffers(total: int) -> PartBuffers:
    layout = PartLayout(total, PART)
    return PartBuffers(layout, layout.numbers(), window=3, max_window=3)


def assert_completed(buffers: PartBuffers, subranges: Iterable[Subrange | None]) -> None:
    """Fill the subranges with zeros; the part then has the CRC of the whole."""
    for subrange in subranges:
        assert subrange
        subrange.advance(subrange.next_view(PART))
        buffers.give_back(subrange)
    full = buffers.take_full()
    assert full
    assert full.crc32 == zlib.crc32(bytes(PART))


def test_a_subrange_given_back_after_a_split_continues_where_it_ended(clock: list[float]) -> None:
    buffers = new_buffers(PART)
    slow = buffers.claim(nothing, FIRST)
    assert slow
    slow.advance(slow.next_view(100_000))
    others = [buffers.claim(nothing, OTHER) for _ in range(3)]
    clock[0] += 2
    rest = buffers.claim(nothing, OTHER)
    assert rest
    assert (slow.end, rest.start) == (100_000, 100_000)
    assert slow.part.subranges[:2] == [slow, rest]
    buffers.give_back(rest)
    buffers.give_back(slow)  # it has read all that the split left to it
    assert buffers.claim(nothing, OTHER) is rest
    assert rest.split_at is None
    assert_completed(buffers, (rest, *others))
    assert buffers.claim(nothing, OTHER) is None


def test_a_subrange_split_to_length_zero_is_done_when_it_is_given_back(clock: list[float]) -> None:
    buffers = new_buffers(PART)
    waiting = [buffers.claim(nothing, FIRST) for _ in range(4)]
    clock[0] += 2
    rest = buffers.claim(nothing, OTHER)
    empty = waiting[0]
    assert empty
    assert rest
    assert (empty.length, rest.start, rest.length) == (0, 0, PART // 4)
    buffers.give_back(empty)
    for subrange in (rest, *waiting[1:]):
        assert subrange
        subrange.advance(subrange.next_view(PART))
        buffers.give_back(subrange)
    assert buffers.take_full() is rest.part


def test_an_idle_reader_waits_for_what_others_may_give_back() -> None:
    buffers = new_buffers(PART // 4)
    only = buffers.claim(nothing, FIRST)
    assert only
    claimed: list[Subrange | None] = []
    waiting = Thread(target=lambda: claimed.append(buffers.claim(nothing, OTHER)))
    waiting.start()
    buffers.give_back(only)
    waiting.join(10)
    assert claimed == [only]


def test_reserved_subranges_are_for_the_first_reader_until_its_stream_ends() -> None:
    buffers = new_buffers(2 * PART)
    buffers.reserve(PART)
    mine = buffers.claim(nothing, FIRST)
    theirs = buffers.claim(nothing, OTHER)
    assert mine
    assert theirs
    assert (mine.start, theirs.start) == (0, PART)
    buffers.give_back(mine)
    buffers.reserve(0)
    assert buffers.claim(nothing, OTHER) is mine


@pytest.mark.parametrize("read", [0, 1, PART // 4, PART // 4 + 1, PART - 1])
def test_a_source_of_unknown_length_ends_with_what_arrived(read: int) -> None:
    layout = PartLayout(None, PART)
    buffers = PartBuffers(layout, layout.numbers(), window=3, max_window=3)
    left = PART + read
    while True:
        subrange = buffers.claim(nothing, FIRST)
        assert subrange
        count = min(left, subrange.length)
        subrange.advance(subrange.next_view(count))
        left -= count
        if subrange.left:
            buffers.end_source(subrange)
            break
        buffers.give_back(subrange)
    lengths = []
    while full := buffers.take_full():
        lengths.append(len(full.body))
        buffers.mark_stored(full)
    assert lengths == [PART, read][: 2 if read else 1]
    assert buffers.claim(nothing, FIRST) is None


def test_a_smaller_window_releases_free_buffers() -> None:
    layout = PartLayout(100 * MIB, PART)
    buffers = PartBuffers(layout, layout.numbers(), window=8, max_window=8)
    subranges = [buffers.claim(nothing, FIRST) for _ in range(8 * 4)]
    for subrange in subranges:
        assert subrange
        subrange.advance(subrange.next_view(PART))
        buffers.give_back(subrange)
    for _ in range(8):
        full = buffers.take_full()
        assert full
        buffers.mark_stored(full)
    assert len(buffers._free) == 8
    buffers.set_window(3)
    assert len(buffers._free) == 3


def test_memory_is_limited_to_the_window_after_the_oldest_part() -> None:
    buffers = new_buffers(100 * MIB)
    taken = [buffers.claim(nothing, FIRST) for _ in range(12)]
    assert {subrange.part.number for subrange in taken if subrange} == {1, 2, 3}
    with pytest.raises(Stopped):
        buffers.claim(stop, FIRST)  # the fourth part must wait, although a later one may be done
    for subrange in taken[4:8]:
        assert subrange
        subrange.advance(subrange.next_view(PART))
        buffers.give_back(subrange)
    done = buffers.take_full()
    assert done
    buffers.mark_stored(done)
    with pytest.raises(Stopped):
        buffers.claim(stop, FIRST)


def test_subranges_are_claimed_in_order_and_one_given_back_comes_first() -> None:
    buffers = new_buffers(100 * MIB)
    one, two = buffers.claim(nothing, FIRST), buffers.claim(nothing, OTHER)
    assert one
    assert two
    assert one.end == two.start
    buffers.give_back(one)
    assert buffers.claim(nothing, OTHER) is one


def test_at_the_end_an_idle_reader_takes_half_of_what_takes_longest(clock: list[float]) -> None:
    buffers = new_buffers(PART)
    claimed = [buffers.claim(nothing, FIRST) for _ in range(4)]
    for subrange, count in zip(claimed, (MIB, MIB // 2, MIB // 2, MIB), strict=True):
        assert subrange
        subrange.advance(subrange.next_view(count))
    clock[0] += MIN_SPLIT_SECONDS
    idle = Reader(is_first=False, rate=1.0, latency=MIN_SPLIT_SECONDS / LATENCIES_TO_SPLIT)
    for unsuited in (replace(idle, is_cold=True), replace(idle, latency=1.0)):
        with pytest.raises(Stopped):
            buffers.claim(stop, unsuited)
    taken = buffers.claim(nothing, idle)
    slowest = claimed[1]
    assert taken
    assert slowest
    assert taken.end == PART // 2
    assert taken.start == slowest.end == slowest.position + (PART // 4 - MIB // 2) // 2
    assert_completed(buffers, (*claimed, taken))


def test_while_there_is_more_to_claim_nothing_is_split(clock: list[float]) -> None:
    buffers = new_buffers(2 * PART)
    first = buffers.claim(nothing, FIRST)
    assert first
    first.advance(first.next_view(MIB))
    clock[0] += 10 * MIN_SPLIT_SECONDS
    other = buffers.claim(nothing, Reader(is_first=False, rate=1.0, latency=0.0))
    assert other
    assert (first.end, other.start) == (PART // 4, PART // 4)


def test_uploaders_end_once_the_last_part_is_stored() -> None:
    buffers = new_buffers(PART)
    subranges = [buffers.claim(nothing, FIRST) for _ in range(4)]
    taken: Queue[PartBuffer | None] = Queue()
    for _ in range(3):
        Thread(target=lambda: taken.put(buffers.take_full()), daemon=True).start()
    for subrange in subranges:
        assert subrange
        subrange.advance(subrange.next_view(PART))
        buffers.give_back(subrange)
    full = taken.get(timeout=10)
    assert full
    assert taken.empty()
    buffers.mark_stored(full)
    assert [taken.get(timeout=10) for _ in range(2)] == [None, None]


def test_every_uploader_learns_of_a_failure() -> None:
    buffers = new_buffers(PART)
    taken: Queue[PartBuffer | None] = Queue()
    for _ in range(3):
        Thread(target=lambda: taken.put(buffers.take_full()), daemon=True).start()
    buffers.fail(Stopped())
    assert [taken.get(timeout=10) for _ in range(3)] == [None, None, None]
