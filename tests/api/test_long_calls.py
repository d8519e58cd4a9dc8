"""The Prefer header, read as RFC 7240 says."""

import pytest

from videovault.api.long_calls import Preferences, parse_prefer

LONGEST = 25.0


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ([], Preferences()),
        (["respond-async"], Preferences(respond_async=True)),
        (["Respond-Async; foo=bar"], Preferences(respond_async=True)),
        (["wait=10"], Preferences(wait=10)),
        (['wait = "10"'], Preferences(wait=10)),
        (["respond-async, wait=10"], Preferences(respond_async=True, wait=10)),
        (["wait=10", "respond-async"], Preferences(respond_async=True, wait=10)),
        (["wait=10, wait=20"], Preferences(wait=10)),
        (['lenient, greeting="a, respond-async"'], Preferences()),
    ],
)
def test_what_is_preferred_is_understood(headers: list[str], wanted: Preferences) -> None:
    assert parse_prefer(headers) == wanted


@pytest.mark.parametrize("wait", ["", "soon", "-1", "1.5", "٣", "9" * 5000, "1e3"])
def test_a_wait_that_is_no_number_is_ignored(wait: str) -> None:
    assert parse_prefer([f"wait={wait}"]) == Preferences()


@pytest.mark.parametrize(
    ("prefers", "seconds"),
    [
        (Preferences(), LONGEST),
        (Preferences(respond_async=True), 0),
        (Preferences(wait=10), 10),
        (Preferences(respond_async=True, wait=10), 10),
        (Preferences(wait=1000), LONGEST),
    ],
)
def test_nobody_waits_longer_than_the_server_does_by_itself(prefers: Preferences, seconds: float) -> None:
    assert prefers.seconds(LONGEST) == seconds


@pytest.mark.parametrize(
    ("prefers", "status", "applied"),
    [
        (Preferences(), 202, ""),
        (Preferences(respond_async=True), 202, "respond-async"),
        (Preferences(respond_async=True), 200, ""),
        (Preferences(respond_async=True, wait=10), 202, "respond-async, wait=10"),
        (Preferences(wait=10), 200, "wait=10"),
        (Preferences(wait=1000), 202, ""),
    ],
)
def test_only_what_was_followed_is_said_to_be_applied(
    prefers: Preferences, status: int, applied: str
) -> None:
    assert prefers.applied(status, LONGEST) == applied
