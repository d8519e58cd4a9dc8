"""No log line shows a secret, from any library and at any place in the line."""

import json
import logging
import threading

import pytest

from tests.logs.conftest import Output
from videovault import logs, security
from videovault.logs import redaction
from videovault.security import Order, ViewPass
from videovault.services.accounts import tokens

TOKEN = "Tq3nV0sJp4m8KxZ1cYwB7dGhL2rEfUoA9iS6tNvQk_M"
SIGNATURE = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
PRESIGNED = f"X-Amz-Credential=AKIA%2F20260101&X-Amz-Security-Token=FwoGZ&X-Amz-Signature={SIGNATURE}"

FORMS = {
    "a presigned address": (f"GET https://films.s3.amazonaws.com/a.mp4?{PRESIGNED}", SIGNATURE),
    "its path alone": (f"/videovault/videos/a.mp4?{PRESIGNED} 403", SIGNATURE),
    "its credential": (f"/videovault/videos/a.mp4?{PRESIGNED} 403", "AKIA%2F20260101"),
    "the query of a source": ("could not read https://cdn.example/v.mp4?auth=my-own-pass", "my-own-pass"),
    "the fragment of a source": ("read https://cdn.example/v.mp4#my-own-pass", "my-own-pass"),
    "the user of a source": ("could not read https://me:my-own-pass@cdn.example/v.mp4", "my-own-pass"),
    "a database": ("connect postgresql+psycopg://app:my-own-pass@db/videos failed", "my-own-pass"),
    "a bearer token": ("Authorization: Bearer abc.def", "abc.def"),
    "a token in JSON": ('{"callbackToken": "my-own-token", "videoId": "v"}', "my-own-token"),
    "a token in a dict": ("{'callback_token': 'my-own-token'}", "my-own-token"),
    "a share link": ("GET /share/video_1_a?key=my-own-key HTTP/1.1", "my-own-key"),
    "a link for a new password": ("GET /reset?token=my-own-token HTTP/1.1", "my-own-token"),
    "an invitation": ("GET /register?invitation=my-own-token HTTP/1.1", "my-own-token"),
    "the ticket of a visit": ("GET /api/share/v/download?inline=1&ticket=my-own-token", "my-own-token"),
    "a share link to come back to": ("/login?next=%2Fshare%2Fvideo_1_a%3Fkey%3Dmy-own-key", "my-own-key"),
    "one with more": ("/login?next=%2Fs%2Fv%3Fa%3Db%26key%3Dmy-own-key%26c%3Dd", "my-own-key"),
    "one that was encoded twice": ("/login?next=%252Fs%252Fv%253Fkey%253Dmy-own-key%2526c", "my-own-key"),
    "one that was encoded in part": ("/login?next=/s/v%3Fticket=my-own-ticket", "my-own-ticket"),
    "a presigned one": ("/go?to=a.mp4%3Fa%26X-Amz-Signature%3Dmy-own-signature", "my-own-signature"),
    "an API token": (f"nothing says what vv_{TOKEN} is", TOKEN),
    "a share link with more": ("/share/video_1_a?a=b&key=my-own-key&c=d", "my-own-key"),
    "a secret key": ("secretKey=my-own-key", "my-own-key"),
    "a cookie": ("Cookie: a=b; videovault_session=my-own-token; c=d", "my-own-token"),
    "a cookie by itself": ("sent videovault_session=my-own-token;", "my-own-token"),
    "a cookie that is set": ("set-cookie: __Host-videovault_session=my-own-token; Path=/", "my-own-token"),
    "a header in a list": ("[(b'cookie', b'x')] cookie=my-own-token", "my-own-token"),
    "a password": ("password='my own pass'", "my own pass"),
    "a webhook secret": (
        "signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ),
    "a report address": ("POST /api/callback/my.short-token HTTP/1.1", "my.short-token"),
    "a whole one": ("posted to https://v.example/api/callback/my.short-token/?a=b", "my.short-token"),
    "one with escaped slashes": (r'{"u": "http:\/\/v\/api\/callback\/my.short-token"}', "my.short-token"),
    "one inside another address": (
        "/go?to=http%3A%2F%2Fv%2Fapi%2Fcallback%2Fmy.short-token",
        "my.short-token",
    ),
    "256 random bits": (f"nothing says what {TOKEN} is", TOKEN),
}


@pytest.mark.parametrize(("line", "secret"), FORMS.values(), ids=FORMS)
def test_each_form_of_a_secret_is_redacted(line: str, secret: str) -> None:
    assert secret in line
    shown = redaction.redact_text(line)
    assert secret not in shown
    assert redaction.HIDDEN in shown


@pytest.mark.usefixtures("installation")
def test_issued_secrets_are_recognised_by_their_form() -> None:
    for secret in (
        security.new_token(),
        security.new_secret_key(),
        security.callback_token(Order("video_1_a", "")),
        tokens.PREFIX + security.new_token(),
        security.sign("invitation", "0f8fad5bd9cb469fa16570867728950e"),
        security.sign("reset", ["0f8fad5bd9cb469fa16570867728950e", security.password_fingerprint("hash")]),
        security.issue_view_pass(ViewPass("video_1_a", 1)),
    ):
        assert secret not in redaction.redact_text(f"seen: {secret}, here")


@pytest.mark.parametrize(
    "line",
    [
        "stored videos/0f8fad5bd9cb469fa16570867728950e/video_1703123456789_abc123def/1703123456789_film.mp4",
        "read https://cdn.example/films/v.mp4 in 3 s",
        "request_id=0f8fad5bd9cb469fa16570867728950e status=200",
        f"crc32=AAAAAA== sha256={SIGNATURE}",
        "videovault.services.transfer.engine.range_reader.RangeReader ended",
        "the token of the queue is taken",
    ],
)
def test_other_text_is_kept(line: str) -> None:
    assert redaction.redact_text(line) == line


def test_text_beside_an_encoded_secret_is_kept() -> None:
    shown = redaction.redact_text("/login?next=%2Fs%3Fkey%3Dmy-own-key%26page%3D2 200")
    assert shown == f"/login?next=%2Fs%3Fkey%3D{redaction.HIDDEN}%26page%3D2 200"


def test_nested_values_are_redacted(written: Output) -> None:
    logs.get("test").warning(
        "refused",
        token="my-own-token",
        url="https://a.example/?my-own-pass",
        headers={"Authorization": "my-own-token", "x": ["Bearer my-own-token"]},
        error=ValueError("password=my-own-pass"),
    )
    assert "refused" in written.getvalue()
    assert "my-own" not in written.getvalue()


def test_secrets_of_the_settings_are_redacted(written: Output) -> None:
    logs.get("test").warning("quite-unlike-a-secret")
    assert redaction.HIDDEN in written.getvalue()
    assert "quite-unlike" not in written.getvalue()


@pytest.mark.parametrize("name", ["_granian", "granian.access", "httpx", "botocore.auth", "huey", "asyncio"])
def test_lines_and_exceptions_of_libraries_are_redacted(written: Output, name: str) -> None:
    error = ValueError(f"no answer from https://a.example/v.mp4?{PRESIGNED}")
    logging.getLogger(name).error("failed for %s", "Bearer my-own-token", exc_info=error)
    shown = written.getvalue()
    assert "no answer from https://a.example/v.mp4" in shown
    assert SIGNATURE not in shown
    assert "my-own-token" not in shown


def test_uncaught_exception_is_logged_redacted(written: Output) -> None:
    def fail() -> None:
        raise ValueError("token=my-own-token")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert "uncaught exception" in written.getvalue()
    assert "my-own-token" not in written.getvalue()


def test_redacted_json_is_valid(written: Output) -> None:
    logs.get("test").warning("refused", size=12, whole=True, nothing=None, token="my-own-token")
    line = written.getvalue()
    if line.startswith("{"):
        said = json.loads(line)
        assert (said["size"], said["whole"], said["nothing"]) == (12, True, None)
    assert redaction.HIDDEN in line


@pytest.mark.parametrize("name", ["said", "exception"])
def test_long_value_is_truncated_with_its_length(written: Output, name: str) -> None:
    logs.get("test").warning("refused", **{name: "beginning " + "-a" * 500_000})
    assert "beginning" in written.getvalue()
    assert "(cut, 1,000,010 characters)" in written.getvalue()
    assert len(written.getvalue()) < redaction.MAX_TRACEBACK_CHARACTERS + 1000


@pytest.mark.parametrize("before", range(redaction.MAX_CHARACTERS - 60, redaction.MAX_CHARACTERS + 1, 4))
@pytest.mark.parametrize(
    "form", [TOKEN, f"Bearer {TOKEN}", f"password='{TOKEN}'", "quite unlike a secret, and set"]
)
def test_secret_split_by_truncation_is_not_shown(before: int, form: str) -> None:
    shown = redaction.redact_text(
        f"{'x' * (before - 1)} {form} {'y' * 5000}", ["quite unlike a secret, and set"]
    )
    assert "(cut, " in shown
    assert not any(piece in shown for piece in (TOKEN[:4], "quite"))
