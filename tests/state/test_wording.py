"""Figures as people read them."""

import pytest

from videovault.state import wording


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
def test_sizes_are_as_file_managers_show_them(count: int, text: str) -> None:
    assert wording.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "0:59"), (750, "12:30"), (3723, "1:02:03")]
)
def test_durations_are_as_players_show_them(seconds: float, text: str) -> None:
    assert wording.clock(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 second"),
        (8, "8 seconds"),
        (56, "56 seconds"),
        (58, "1 minute"),
        (150, "2 minutes"),
        (7200, "2 hours"),
        (3 * 86400, "3 days"),
    ],
)
def test_what_is_left_is_rounded(seconds: float, text: str) -> None:
    assert wording.about(seconds) == text


def test_one_is_not_many() -> None:
    assert wording.videos(1) == "1 video"
    assert wording.videos(1200) == "1,200 videos"


def test_long_titles_are_shortened_where_room_is_scarce() -> None:
    assert wording.shortened("x" * 60) == "x" * 60
    assert wording.shortened("sourdough, rye and wheat", longest=11) == "sourdough…"


# What a page says of the videos that may still be made today.


@pytest.mark.parametrize(
    ("limit", "left", "in_total", "said"),
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
    limit: int | None, left: int | None, in_total: int | None, said: str
) -> None:
    assert wording.budget(limit, left, in_total) == said
