"""Texts with numbers, and shortened titles."""

import pytest

from videovault.state import wording


def test_one_is_not_many() -> None:
    assert wording.videos(1) == "1 video"
    assert wording.videos(1200) == "1,200 videos"


def test_long_titles_are_shortened_where_room_is_scarce() -> None:
    assert wording.shortened("x" * 60) == "x" * 60
    assert wording.shortened("sourdough, rye and wheat", length=11) == "sourdough…"


# What a page says of the videos that may still be made today.


@pytest.mark.parametrize(
    ("limit", "left", "in_total", "expected"),
    [
        (None, None, None, ""),
        (20, 3, None, "3 of 20 videos left today"),
        (20, 3, 3, "3 of 20 videos left today"),
        (20, 0, 5, "You have no videos left today. You can make more after midnight UTC."),
        (20, 3, 2, "2 videos left today for all accounts"),
        (None, None, 1, "1 video left today for all accounts"),
        (20, 3, 0, "This installation has no videos left today. You can make more after midnight UTC."),
        (1, 1, None, "1 of 1 video left today"),
        (5000, 1200, None, "1,200 of 5,000 videos left today"),
    ],
)
def test_the_limit_that_is_reached_first_is_named(
    limit: int | None, left: int | None, in_total: int | None, expected: str
) -> None:
    assert wording.budget(limit, left, in_total) == expected
