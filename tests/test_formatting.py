"""Sizes and durations for people."""

import pytest

from videovault.formatting import format_clock, format_duration, format_size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1 KB"),
        (999_499, "999 KB"),
        (999_500, "1.0 MB"),
        (4_240_000, "4.2 MB"),
        (412_000_000, "412 MB"),
        (5_368_709_120, "5.4 GB"),
        (2_000_000_000_000_000, "2000 TB"),
    ],
)
def test_sizes_have_decimal_units(count: int, text: str) -> None:
    assert format_size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "0:59"), (750, "12:30"), (3723, "1:02:03")]
)
def test_durations_are_shown_as_in_players(seconds: float, text: str) -> None:
    assert format_clock(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 second"),
        (8, "8 seconds"),
        (56, "56 seconds"),
        (58, "1 minute"),
        (150, "2 minutes"),
        (7200, "2 hours"),
        (200_000, "2 days"),
    ],
)
def test_approximate_durations_are_rounded_to_one_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
