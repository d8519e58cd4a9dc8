"""The Prefer header (RFC 7240)."""

import pytest

from videovault.api.long_polling import Preferences, parse_prefer

MAX_SECONDS = 25.0


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
def test_prefer_headers_are_parsed(headers: list[str], wanted: Preferences) -> None:
    assert parse_prefer(headers) == wanted


@pytest.mark.parametrize("wait", ["", "soon", "-1", "1.5", "٣", "9" * 5000, "1e3"])
def test_an_invalid_wait_is_ignored(wait: str) -> None:
    assert parse_prefer([f"wait={wait}"]) == Preferences()


@pytest.mark.parametrize(
    ("prefers", "seconds"),
    [
        (Preferences(), MAX_SECONDS),
        (Preferences(respond_async=True), 0),
        (Preferences(wait=10), 10),
        (Preferences(respond_async=True, wait=10), 10),
        (Preferences(wait=1000), MAX_SECONDS),
    ],
)
def test_the_wait_is_at_most_the_servers_default(prefers: Preferences, seconds: float) -> None:
    assert prefers.seconds(MAX_SECONDS) == seconds


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
def test_only_followed_preferences_are_applied(prefers: Preferences, status: int, applied: str) -> None:
    assert prefers.applied(status, MAX_SECONDS) == applied
