"""Repeated log lines are limited."""

import io
import logging

from videovault import logs
from videovault.logs import OncePerInterval


def test_each_key_is_due_once_per_interval() -> None:
    now = 0.0
    due = OncePerInterval(60, clock=lambda: now)
    assert [due.is_due("a"), due.is_due("b"), due.is_due("a")] == [True, True, False]
    now = 59
    assert not due.is_due("a")
    now = 60
    assert due.is_due("a")


def test_keys_are_bounded() -> None:
    due = OncePerInterval(60, clock=lambda: 0.0)
    for number in range(logs.MAX_KEYS + 10):
        assert due.is_due(str(number))
    assert due.is_due("0"), "the oldest is forgotten"
    assert not due.is_due(str(logs.MAX_KEYS + 9))


def test_a_queue_that_does_not_answer_is_reported_once_for_all_threads(written: io.StringIO) -> None:
    worker = logging.getLogger("huey.consumer.Worker")
    for _ in range(4):
        worker.error("Error reading from queue")
    worker.error("Unhandled error during execution of task %s.", "a")
    worker.error("Unhandled error during execution of task %s.", "b")
    assert written.getvalue().count("Error reading from queue") == 1
    assert written.getvalue().count("Unhandled error") == 2
