"""Every failure under /api has the same shape."""

import httpx
import pytest
import structlog

from tests.api.requests import code
from tests.support.installation import Configure
from tests.support.people import Person
from videovault import errors
from videovault.api.responses import STATUS, status_of
from videovault.errors import RateLimited, VideoVaultError

pytestmark = pytest.mark.usefixtures("installation")


def every_error(kind: type[VideoVaultError] = VideoVaultError) -> list[type[VideoVaultError]]:
    ours = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return [kind, *(deeper for child in ours for deeper in every_error(child))]


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/nothing", "/api/auth/me/", "/api/auth//me", "/api/é"]
)
def test_an_unknown_address_is_404(ada: Person, path: str) -> None:
    assert code(ada.api.get(path)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/auth/login", "POST"),
        ("PUT", "/api/auth/me", "GET, PATCH"),
        ("OPTIONS", "/api/auth/video/gallery", "GET"),
        ("GET", "/api/auth/video/delete", "DELETE"),
        ("GET", "/api/auth/video/download", "POST"),
        ("DELETE", "/api/auth/video/status", "POST, PUT"),
        ("POST", "/api/admin/videos", "DELETE, GET"),
        ("GET", "/api/auth/video/video_1_a/retry", "POST"),
        ("DELETE", "/api/auth/video/video_1_a", "GET, PATCH"),
    ],
)
def test_a_wrong_method_is_405_with_the_allowed_ones(
    client: httpx.Client, method: str, path: str, allowed: str
) -> None:
    answer = client.request(method, path)
    assert answer.headers["allow"] == allowed
    assert code(answer) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("path", ["/api/auth/login", "/api/auth/video/download", "/api/nothing"])
@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
def test_a_body_over_one_mebibyte_is_413(client: httpx.Client, path: str, *, chunked: bool) -> None:
    block = b"x" * 65536
    content = (block for _ in range(17)) if chunked else block * 17
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert code(answer) == (413, "TOO_LARGE")
    assert answer.headers["x-request-id"]


def test_a_body_of_one_mebibyte_is_read(client: httpx.Client) -> None:
    content = b'{"a": "' + b"x" * (1024 * 1024 - 9) + b'"}'
    answer = client.post("/api/auth/login", content=content, headers={"Content-Type": "application/json"})
    assert answer.json()["error"]["fields"] == {
        "email": "This field is missing.",
        "password": "This field is missing.",
    }


def test_an_internal_error_reveals_nothing_and_is_logged_by_request_id(
    ada: Person, configure: Configure, tmp_path: object
) -> None:
    configure(DATABASE_URL=f"sqlite:///{tmp_path}/empty.db")  # without tables
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        answer = ada.api.get("/api/auth/me")
    assert code(answer) == (500, "INTERNAL_ERROR")
    request_id = answer.headers["x-request-id"]
    assert answer.json()["error"]["requestId"] == request_id
    assert "sqlite" not in answer.text.lower()
    assert "table" not in answer.text.lower()
    (failure,) = [line for line in lines if line["log_level"] == "error"]
    assert failure["request_id"] == request_id
    assert failure["exc_info"]


def test_every_response_has_a_unique_request_id_that_is_logged(client: httpx.Client) -> None:
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        ids = [client.get(path).headers["x-request-id"] for path in ("/api/auth/me", "/api/nothing")]
    assert len(set(ids)) == 2
    assert [line["request_id"] for line in lines if line["event"] == "request"] == ids


def test_the_query_is_not_logged(client: httpx.Client) -> None:
    with structlog.testing.capture_logs() as lines:
        client.get("/api/auth/video/gallery?userId=quite-private")
    assert "quite-private" not in str(lines)


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind: type[VideoVaultError]) -> None:
    error = kind("A sentence.", 30) if kind is RateLimited else kind("A sentence.")
    assert 400 <= status_of(error) < 600


def test_the_statuses_are_those_of_the_contract() -> None:
    said = {kind.__name__: status for kind, status in STATUS.items()}
    assert said == {
        "InvalidInput": 400,
        "NotSignedIn": 401,
        "Forbidden": 403,
        "NotFound": 404,
        "Conflict": 409,
        "TooLarge": 413,
        "SourceError": 422,
        "RateLimited": 429,
        "UpstreamError": 502,
        "DatabaseUnavailable": 503,
        "DiskFull": 507,
        "VideoVaultError": 500,
    }
    assert status_of(errors.UnsafeUrl("x")) == 400
    assert status_of(errors.WebhookUnanswered("x")) == 502


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("DELETE", "/api/auth/sessions/", "NOT_FOUND"),
        ("DELETE", "/api/auth/tokens/", "NOT_FOUND"),
        ("PATCH", "/api/admin/users/", "USER_NOT_FOUND"),
    ],
)
def test_an_invalid_id_of_something_else_is_not_a_missing_video(
    admin: Person, method: str, path: str, said: str
) -> None:
    answer = admin.api.request(method, path + "a" * 300, json={})
    assert code(answer) == (404, said)
    assert "video" not in answer.json()["message"]
