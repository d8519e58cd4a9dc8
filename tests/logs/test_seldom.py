"""How often the same thing is logged in full."""

from videovault.logs import repeats
from videovault.logs.repeats import Seldom


def test_each_key_is_due_once_in_its_time() -> None:
    now = 0.0
    due = Seldom(60, clock=lambda: now)
    assert [due.is_due("a"), due.is_due("b"), due.is_due("a")] == [True, True, False]
    now = 59
    assert not due.is_due("a")
    now = 60
    assert due.is_due("a")


def test_keys_are_bounded() -> None:
    due = Seldom(60, clock=lambda: 0.0)
    for number in range(repeats.MOST_KEYS + 10):
        assert due.is_due(str(number))
    assert due.is_due("0"), "the oldest is forgotten"
    assert not due.is_due(str(repeats.MOST_KEYS + 9))
