"""The length of a video, and how its time is divided."""

import pytest

from videovault.embedded.studio.captions import estimated_seconds, on_twos, part_spans


@pytest.mark.parametrize(("words", "seconds"), [(1, 5), (20, 8), (30, 12), (500, 20)])
def test_a_video_is_as_long_as_its_words_within_limits(words: int, seconds: float) -> None:
    assert estimated_seconds(["word " * words, "", ""]) == pytest.approx(seconds)


def test_parts_follow_each_other_without_a_gap() -> None:
    parts = ["one", "two " * 40, "three"]
    spans = part_spans(parts)
    assert spans[0][0] == 0
    assert spans[0][1] == spans[1][0]
    assert spans[1][1] == spans[2][0]
    assert spans[2][1] == pytest.approx(estimated_seconds(parts))


def test_a_part_of_one_word_can_still_be_read() -> None:
    (start, end), *_ = part_spans(["Hi", "word " * 200, "Bye"])
    assert end - start > 2


def test_slow_motion_changes_with_every_second_frame() -> None:
    assert [round(on_twos(frame / 25) * 25) for frame in range(6)] == [0, 0, 2, 2, 4, 4]
