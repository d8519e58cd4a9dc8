"""Parts cover every byte once, within S3's limits."""

import zlib
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videovault.services.transfer.engine.types import (
    MAX_PARTS,
    MIB,
    PART_BYTES,
    PartLayout,
    combine_crc32,
    crc32,
)

pytestmark = pytest.mark.thorough

TIB = 1024**4
totals = st.integers(1, 5 * TIB)


@given(totals)
def test_parts_follow_each_other_to_the_last_byte(total: int) -> None:
    layout = PartLayout.for_total(total)
    count = sum(1 for _ in layout.numbers())
    assert count <= MAX_PARTS
    for number in {1, 2, count // 2, count - 1, count} & set(range(1, count)):
        assert layout.start(number) + layout.length(number) == layout.start(number + 1)
    assert layout.start(1) == 0
    assert layout.start(count) + layout.length(count) == total


@given(totals)
def test_all_parts_but_the_last_have_one_size_that_s3_accepts(total: int) -> None:
    layout = PartLayout.for_total(total)
    *others, last = islice(layout.numbers(), MAX_PARTS)
    assert {layout.length(number) for number in others[:3] + others[-3:]} <= {layout.part_bytes}
    assert layout.part_bytes % MIB == 0
    assert 5 * MIB <= layout.part_bytes <= 5 * 1024 * MIB
    assert 0 < layout.length(last) <= layout.part_bytes


@given(st.integers(1, MAX_PARTS - 1))
def test_parts_of_an_unknown_length_follow_each_other_and_never_shrink(number: int) -> None:
    layout = PartLayout.for_total(None)
    assert layout.start(number) + layout.length(number) == layout.start(number + 1)
    assert layout.length(number) <= layout.length(number + 1) <= 2 * layout.length(number)


def test_an_unknown_length_allows_the_largest_object_of_s3() -> None:
    layout = PartLayout.for_total(None)
    assert layout.start(MAX_PARTS) + layout.length(MAX_PARTS) > 5 * TIB
    assert layout.length(500) == PART_BYTES


@given(st.lists(st.binary(max_size=5000)))
def test_crcs_of_parts_combine_to_the_crc_of_the_whole(parts: list[bytes]) -> None:
    assert combine_crc32((crc32(part), len(part)) for part in parts) == zlib.crc32(b"".join(parts))


@given(st.binary(max_size=5000), st.binary(max_size=5000))
def test_a_crc_continues_where_it_stopped(one: bytes, other: bytes) -> None:
    assert crc32(memoryview(other), crc32(bytearray(one))) == zlib.crc32(one + other)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**40))
def test_an_empty_part_does_not_change_the_crc(whole: int, length: int) -> None:
    assert combine_crc32([(whole, length), (0, 0)]) == whole
