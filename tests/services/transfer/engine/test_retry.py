"""Trying again: as long as the source makes progress, and no longer."""

import pytest

from tests.services.transfer.engine.conftest import FAST_RETRIES, Stopped
from videovault.errors import SourceError
from videovault.gateways.s3_client import CHECK_SECONDS
from videovault.gateways.source_errors import cut_short, error_for_status
from videovault.services.transfer.engine.retry import PROGRESS_BYTES, SourceRetries

pytestmark = pytest.mark.thorough


def nothing() -> None:
    """The check of a transfer that is not stopped."""


def test_short_responses_that_break_off_add_up_to_progress() -> None:
    retries = SourceRetries(FAST_RETRIES, nothing)
    for _ in range(50):
        retries.progressed(PROGRESS_BYTES // 4)
        retries.wait(cut_short())


def test_a_source_with_almost_no_bytes_between_failures_fails() -> None:
    retries = SourceRetries(FAST_RETRIES, nothing)
    for _ in range(FAST_RETRIES.max_failures - 1):
        retries.progressed(1000)
        retries.wait(cut_short())
    with pytest.raises(SourceError, match="broke off"):
        retries.wait(cut_short())


def test_a_final_error_is_not_retried() -> None:
    with pytest.raises(SourceError, match="HTTP 400"):
        SourceRetries(FAST_RETRIES, nothing).wait(error_for_status(400))


def test_a_long_retry_after_fails_with_the_time_in_the_message() -> None:
    with pytest.raises(SourceError, match="wait 20 minutes") as failure:
        SourceRetries(FAST_RETRIES, nothing).wait(error_for_status(429, "1170"))
    assert failure.value.retryable


def test_a_retry_after_is_respected_and_ends_at_once_when_stopped() -> None:
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise Stopped

    with pytest.raises(Stopped):
        SourceRetries(FAST_RETRIES, check).wait(error_for_status(503, "60"))
    assert looks == 3
    assert CHECK_SECONDS < 2  # between two looks
