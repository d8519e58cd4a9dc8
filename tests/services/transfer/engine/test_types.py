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
    plan = PartLayout.for_total(total)
    count = sum(1 for _ in plan.numbers())
    assert count <= MAX_PARTS
    for number in {1, 2, count // 2, count - 1, count} & set(range(1, count)):
        assert plan.start(number) + plan.length(number) == plan.start(number + 1)
    assert plan.start(1) == 0
    assert plan.start(count) + plan.length(count) == total


@given(totals)
def test_all_parts_but_the_last_have_one_size_that_s3_accepts(total: int) -> None:
    plan = PartLayout.for_total(total)
    *others, last = islice(plan.numbers(), MAX_PARTS)
    assert {plan.length(number) for number in others[:3] + others[-3:]} <= {plan.part_bytes}
    assert plan.part_bytes % MIB == 0
    assert 5 * MIB <= plan.part_bytes <= 5 * 1024 * MIB
    assert 0 < plan.length(last) <= plan.part_bytes


@given(st.integers(1, MAX_PARTS - 1))
def test_parts_of_an_unknown_length_follow_each_other_and_never_shrink(number: int) -> None:
    plan = PartLayout.for_total(None)
    assert plan.start(number) + plan.length(number) == plan.start(number + 1)
    assert plan.length(number) <= plan.length(number + 1) <= 2 * plan.length(number)


def test_an_unknown_length_allows_the_largest_object_of_s3() -> None:
    plan = PartLayout.for_total(None)
    assert plan.start(MAX_PARTS) + plan.length(MAX_PARTS) > 5 * TIB
    assert plan.length(500) == PART_BYTES


# The sum of a whole from the sums of its parts.


@given(st.lists(st.binary(max_size=5000)))
def test_crcs_of_parts_combine_to_the_crc_of_the_whole(parts: list[bytes]) -> None:
    assert combine_crc32((crc32(part), len(part)) for part in parts) == zlib.crc32(b"".join(parts))


@given(st.binary(max_size=5000), st.binary(max_size=5000))
def test_a_crc_continues_where_it_stopped(one: bytes, other: bytes) -> None:
    assert crc32(memoryview(other), crc32(bytearray(one))) == zlib.crc32(one + other)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**40))
def test_an_empty_part_does_not_change_the_crc(whole: int, length: int) -> None:
    assert combine_crc32([(whole, length), (0, 0)]) == whole
