"""Dates in headers: parsed, or None; no text raises an error."""

from datetime import UTC, datetime

import pytest

from videovault.gateways import http_headers
from videovault.gateways.source import CookieJar
from videovault.gateways.ssrf import parse

MALFORMED = (
    "",
    "soon",
    "Wed, 01 Jan 2020 99999999999999999999:00:00 GMT",
    "Wed, 01 Jan 2020 00:00:00 +9999999999999",
    "Wed, 99999999999999999999 Jan 2020 00:00:00 GMT",
    "9" * 5000,
)


def test_a_date_is_parsed() -> None:
    assert http_headers.parse_date("Wed, 01 Jan 2020 00:00:00 GMT") == datetime(2020, 1, 1, tzinfo=UTC)
    assert http_headers.parse_date("Wed, 01 Jan 2020 00:00:00 -0000") == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_date_is_ignored(text: str) -> None:
    assert http_headers.parse_date(text) is None
    cookies, address = CookieJar(), parse("https://a.example/x")
    cookies.store(address, [f"a=b; Expires={text}"])
    assert cookies.header_for(address) == "a=b", "a cookie with a malformed expiry is kept for the fetch"
