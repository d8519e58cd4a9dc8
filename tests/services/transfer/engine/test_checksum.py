"""The sum of a whole from the sums of its parts."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videovault.services.transfer.engine.types import combined, crc32

pytestmark = pytest.mark.thorough


@given(st.lists(st.binary(max_size=5000)))
def test_sums_of_parts_combine_to_the_sum_of_the_whole(parts: list[bytes]) -> None:
    assert combined((crc32(part), len(part)) for part in parts) == zlib.crc32(b"".join(parts))


@given(st.binary(max_size=5000), st.binary(max_size=5000))
def test_a_sum_goes_on_where_it_stopped(one: bytes, other: bytes) -> None:
    assert crc32(memoryview(other), crc32(bytearray(one))) == zlib.crc32(one + other)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**40))
def test_nothing_added_changes_nothing(whole: int, length: int) -> None:
    assert combined([(whole, length), (0, 0)]) == whole
