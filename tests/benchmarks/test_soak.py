"""A small soak: what `python -m benchmarks.soak` does with 500 videos, with eight."""

from pathlib import Path

import pytest

from benchmarks.soak.run import Soak

pytestmark = pytest.mark.process

VIDEOS = 8  # with this seed, each kind of fault occurs among their calls


def test_every_video_ends_and_nothing_is_left_over_while_a_tenth_of_all_calls_fail(tmp_path: Path) -> None:
    soak = Soak(videos=VIDEOS, seed=3, people=4, workers=1, kill_every=4, silent=4, limit=300, at_once=True)
    figures = soak.run(tmp_path, print)
    assert not figures.problems
    assert figures.first.total() == figures.last.total() == VIDEOS
    assert figures.max_per_attempt == 1
    assert figures.kills
    assert {kind for kind, _ in figures.injected} == {"webhook", "source", "S3"}
