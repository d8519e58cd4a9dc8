"""Trying again: as long as the source makes progress, and no longer."""

import pytest

from tests.services.transfer.engine.conftest import HURRIED, Stopped
from videovault.errors import SourceError
from videovault.gateways.s3_retry import CHECK_SECONDS
from videovault.gateways.source_errors import cut_short, error_for_status
from videovault.services.transfer.engine.retry import PROGRESS_BYTES, SourceRetries

pytestmark = pytest.mark.thorough


def nothing() -> None:
    """Nobody stops it."""


def test_short_answers_that_break_off_are_progress_together() -> None:
    retries = SourceRetries(HURRIED, nothing)
    for _ in range(50):
        retries.progressed(PROGRESS_BYTES // 4)
        retries.wait(cut_short())


def test_a_source_that_gives_next_to_nothing_between_its_failures_is_given_up() -> None:
    retries = SourceRetries(HURRIED, nothing)
    for _ in range(HURRIED.tries - 1):
        retries.progressed(1000)
        retries.wait(cut_short())
    with pytest.raises(SourceError, match="broke off"):
        retries.wait(cut_short())


def test_what_is_final_is_not_tried_again() -> None:
    with pytest.raises(SourceError, match="HTTP 400"):
        SourceRetries(HURRIED, nothing).wait(error_for_status(400))


def test_a_source_that_wants_to_be_left_alone_for_long_is_and_says_until_when() -> None:
    with pytest.raises(SourceError, match="wait 20 minutes") as failure:
        SourceRetries(HURRIED, nothing).wait(error_for_status(429, "1170"))
    assert failure.value.retryable


def test_the_wait_that_a_source_asks_for_is_heeded_and_ends_at_once_when_stopped() -> None:
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise Stopped

    with pytest.raises(Stopped):
        SourceRetries(HURRIED, check).wait(error_for_status(503, "60"))
    assert looks == 3
    assert CHECK_SECONDS < 2  # between two looks
