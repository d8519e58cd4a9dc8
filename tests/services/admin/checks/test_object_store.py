"""The checks of the S3 give the guide's advice and leave nothing behind."""

from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.services.admin.checks.conftest import Check
from tests.support.embedded_s3 import EmbeddedS3
from tests.support.installation import Configure
from tests.support.listeners import RawAnswer
from tests.support.s3_proxy import S3Proxy
from videovault.clock import utcnow
from videovault.gateways.storage import Description, Storage
from videovault.services.admin.checks import object_store, result


def remaining_keys(vault: Storage) -> list[str]:
    return [*vault.keys(object_store.PREFIX), *(each.key for each in vault.uploads(object_store.PREFIX))]


def test_a_working_s3_passes_every_step_and_keeps_nothing(check: Check, moto_s3: Storage) -> None:
    found = check("storage")
    assert (found.state, [step.is_done for step in found.steps]) == ("ok", [True] * 5)
    assert remaining_keys(moto_s3) == []


def test_the_embedded_s3_passes_too(check: Check, own_embedded_s3: Storage) -> None:
    found = check("storage")
    assert (found.state, found.advice) == ("ok", "")
    assert remaining_keys(own_embedded_s3) == []


@pytest.mark.parametrize(
    ("operation", "code", "trouble"),
    [
        ("PutObject", "AccessDenied", result.ACCESS_DENIED),
        ("CreateMultipartUpload", "AccessDenied", result.ACCESS_DENIED),
        ("DeleteObject", "AccessDenied", result.ACCESS_DENIED),
        ("PutObject", "InvalidAccessKeyId", result.INVALID_CREDENTIALS),
        ("PutObject", "SignatureDoesNotMatch", result.INVALID_CREDENTIALS),
        ("PutObject", "ExpiredToken", result.INVALID_CREDENTIALS),
    ],
)
def test_a_refusal_has_the_guides_name(
    check: Check, proxy: S3Proxy, operation: str, code: str, trouble: result.TroubleshootingEntry
) -> None:
    proxy.refuse = {operation: [(403, code)] * 9}
    found = check("storage")
    assert (found.state, found.problem, found.advice) == ("broken", trouble.name, trouble.advice)


def test_the_failed_step_is_named_and_earlier_objects_are_deleted(
    check: Check, proxy: S3Proxy, moto_s3: Storage
) -> None:
    proxy.refuse = {"UploadPart": [(403, "AccessDenied")]}
    found = check("storage")
    assert {step.name: step.is_done for step in found.steps} == {
        "Write": True,
        "Read": True,
        "Signed link": True,
        "Upload in parts": False,
        "Delete": False,
    }
    assert remaining_keys(moto_s3) == []


def test_unknown_access_keys_are_invalid_credentials(
    check: Check, configure: Configure, embedded_s3: EmbeddedS3
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
    configure(AWS_S3_BUCKET_NAME=embedded_s3.bucket, AWS_ENDPOINT_URL_S3=embedded_s3.endpoint, **keys)
    found = check("storage")
    assert (found.state, found.problem) == ("broken", "Invalid Credentials")
    assert "AWS_ACCESS_KEY_ID" in found.advice


def test_a_missing_bucket_is_reported_with_its_settings(
    check: Check, moto_s3: Storage, configure: Configure
) -> None:
    del moto_s3
    configure(AWS_S3_BUCKET_NAME="no-such-bucket-anywhere")
    found = check("storage")
    assert found.state == "broken"
    assert "AWS_S3_BUCKET_NAME" in found.found


@pytest.mark.parametrize(
    ("answer", "state", "trouble"),
    [
        (b"403 Forbidden\r\n", "warning", "CORS Errors"),
        (b"200 OK\r\nAccess-Control-Allow-Origin: https://other.example\r\n", "warning", "CORS Errors"),
        (b"200 OK\r\nAccess-Control-Allow-Origin: https://videos.example\r\n", "ok", ""),
        (b"200 OK\r\nAccess-Control-Allow-Origin: *\r\n", "ok", ""),
    ],
)
def test_a_bucket_without_cors_is_a_warning_with_the_guides_advice(
    check: Check, configure: Configure, answer: bytes, state: str, trouble: str
) -> None:
    with RawAnswer(b"HTTP/1.1 " + answer + b"Content-Length: 0\r\n\r\n", at_once=True) as port:
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        configure(AWS_S3_BUCKET_NAME="videos", AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{port}", **keys)
        configure(PUBLIC_URL="https://videos.example")
        found = check("cors")
    assert (found.state, found.problem) == (state, trouble)


def test_the_embedded_s3_needs_no_cors(check: Check, own_embedded_s3: Storage) -> None:
    del own_embedded_s3
    assert check("cors").state == "ok"


@pytest.fixture
def late_s3(configure: Configure) -> Iterator[list[float]]:
    """An S3 whose clock is wrong by the seconds in the list, and which refuses everything."""
    off = [0.0]

    class Late(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(403)
            self.send_header("Date", format_datetime(utcnow() - timedelta(seconds=off[0]), usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Late)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    configure(
        AWS_S3_BUCKET_NAME="late",
        AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{server.server_port}",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
    )
    yield off
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("seconds", "state", "word"),
    [
        (0, "ok", "agree"),
        (120, "warning", "minutes ahead of"),
        (-120, "warning", "minutes behind"),
        (1200, "broken", "20 minutes ahead"),
    ],
)
def test_a_wrong_clock_is_detected_even_if_s3_refuses_requests(
    check: Check, late_s3: list[float], seconds: float, state: str, word: str
) -> None:
    late_s3[0] = seconds
    found = check("clock")
    assert found.state == state
    assert word in found.found


def test_only_probes_left_by_a_crash_are_swept(moto_s3: Storage) -> None:
    moto_s3.put(f"{object_store.PREFIX}young", b"x", Description("text/plain"))
    moto_s3.put("videos/other", b"x", Description("text/plain"))
    object_store.sweep()
    assert len(list(moto_s3.keys())) == 2
    object_store.MAX_AGE, life = timedelta(seconds=-60), object_store.MAX_AGE
    try:
        object_store.sweep()
    finally:
        object_store.MAX_AGE = life
    assert list(moto_s3.keys()) == ["videos/other"]
