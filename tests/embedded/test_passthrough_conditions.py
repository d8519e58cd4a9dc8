"""Ranges and conditions of downloads through the app's own port."""

import pytest

from tests.embedded.passthrough_client import BODY, PassThroughClient, error_of


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=300000-", 300_000, len(BODY) - 1),
        ("bytes=-5", len(BODY) - 5, len(BODY) - 1),
        ("bytes=1048570-99999999", 1_048_570, len(BODY) - 1),
        ("bytes=-99999999", 0, len(BODY) - 1),
    ],
)
def test_a_range_is_answered_with_206(
    browser: PassThroughClient, link: str, wanted: str, first: int, last: int
) -> None:
    answer = browser.get(link, headers={"Range": wanted})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(BODY)}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.content == BODY[first : last + 1]
    assert answer.headers["content-type"] == "video/mp4"


def test_a_range_beyond_the_end_is_416_and_tells_the_size(browser: PassThroughClient, link: str) -> None:
    answer = browser.get(link, headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(BODY)}"


@pytest.mark.parametrize("wanted", ["bytes=abc", "frames=1-2", "bytes=", "1-2"])
def test_a_range_that_makes_no_sense_is_ignored(browser: PassThroughClient, link: str, wanted: str) -> None:
    answer = browser.get(link, headers={"Range": wanted})
    assert answer.status_code == 200
    assert answer.content == BODY


def test_a_download_goes_on_only_if_the_video_is_still_the_same(
    browser: PassThroughClient, link: str
) -> None:
    etag = browser.get(link).headers["etag"]
    same = browser.get(link, headers={"Range": "bytes=10-19", "If-Range": etag})
    assert (same.status_code, same.content) == (206, BODY[10:20])
    other = browser.get(link, headers={"Range": "bytes=10-19", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, BODY)


def test_what_a_browser_has_already_is_not_sent_again(browser: PassThroughClient, link: str) -> None:
    first = browser.get(link).headers
    for condition in (
        {"If-None-Match": first["etag"]},
        {"If-None-Match": f'"x", W/{first["etag"]}'},
        {"If-Modified-Since": first["last-modified"]},
    ):
        answer = browser.get(link, headers=condition)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == first["etag"]


@pytest.mark.parametrize(
    "condition",
    [
        {"If-None-Match": '"another"'},
        {"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"If-Modified-Since": "some day"},
        {"If-Unmodified-Since": "some day"},
        {"If-Match": "*"},
    ],
)
def test_conditions_that_are_met_change_nothing(
    browser: PassThroughClient, link: str, condition: dict[str, str]
) -> None:
    assert browser.get(link, headers=condition).content == BODY


@pytest.mark.parametrize(
    "condition", [{"If-Match": '"another"'}, {"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}]
)
def test_a_precondition_that_fails_is_412(
    browser: PassThroughClient, link: str, condition: dict[str, str]
) -> None:
    answer = browser.get(link, headers=condition)
    assert answer.status_code == 412
    assert error_of(answer) == "PRECONDITION_FAILED"
