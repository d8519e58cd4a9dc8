"""Parts cover every byte once, within S3's limits."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videovault.services.transfer.engine.types import MIB, MOST_PARTS, PART_BYTES, Plan

pytestmark = pytest.mark.thorough

TIB = 1024**4
totals = st.integers(1, 5 * TIB)


@given(totals)
def test_parts_follow_each_other_to_the_last_byte(total: int) -> None:
    plan = Plan.for_total(total)
    count = sum(1 for _ in plan.numbers())
    assert count <= MOST_PARTS
    for number in {1, 2, count // 2, count - 1, count} & set(range(1, count)):
        assert plan.start(number) + plan.length(number) == plan.start(number + 1)
    assert plan.start(1) == 0
    assert plan.start(count) + plan.length(count) == total


@given(totals)
def test_all_parts_but_the_last_are_of_one_size_that_s3_takes(total: int) -> None:
    plan = Plan.for_total(total)
    *others, last = islice(plan.numbers(), MOST_PARTS)
    assert {plan.length(number) for number in others[:3] + others[-3:]} <= {plan.part_bytes}
    assert plan.part_bytes % MIB == 0
    assert 5 * MIB <= plan.part_bytes <= 5 * 1024 * MIB
    assert 0 < plan.length(last) <= plan.part_bytes


@given(st.integers(1, MOST_PARTS - 1))
def test_parts_of_an_unknown_length_follow_each_other_and_never_shrink(number: int) -> None:
    plan = Plan.for_total(None)
    assert plan.start(number) + plan.length(number) == plan.start(number + 1)
    assert plan.length(number) <= plan.length(number + 1) <= 2 * plan.length(number)


def test_an_unknown_length_has_room_for_the_largest_object_that_s3_takes() -> None:
    plan = Plan.for_total(None)
    assert plan.start(MOST_PARTS) + plan.length(MOST_PARTS) > 5 * TIB
    assert plan.length(500) == PART_BYTES
