"""Health and documentation."""

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from tests.fixtures.installation import Configure
from tests.fixtures.people import Person
from videovault.api.docs import PAGE


@pytest.mark.usefixtures("installation")
def test_alive_needs_nothing_else(client: httpx.Client, configure: Configure) -> None:
    configure(DATABASE_URL="sqlite:////nowhere/at/all.db")
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.usefixtures("moto_s3")
def test_ready_is_when_database_s3_and_queue_can_be_used(client: httpx.Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"database": "ok", "s3": "ok", "queue": "ok"}}


@pytest.mark.parametrize(
    ("setting", "value", "part"),
    [
        ("DATABASE_URL", "sqlite:///empty.db", "database"),
        ("AWS_S3_BUCKET_NAME", "there-is-no-such-bucket", "s3"),
        ("QUEUE_URL", "redis://127.0.0.1:1", "queue"),
    ],
)
@pytest.mark.usefixtures("moto_s3")
def test_a_part_that_fails_is_named(
    client: httpx.Client, configure: Configure, setting: str, value: str, part: str
) -> None:
    configure(**{setting: value})
    answer = client.get("/readyz")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert [name for name, said in checks.items() if said != "ok"] == [part]
    assert value not in checks[part]


@pytest.mark.usefixtures("installation")
def test_the_documentation_asks_no_other_host(client: httpx.Client) -> None:
    page = client.get("/api/docs")
    assert page.text == PAGE
    assert "//" not in PAGE.replace("<!doctype", "")
    for name, least in (("swagger-ui.css", 100_000), ("swagger-ui-bundle.js", 1_000_000), ("start.js", 20)):
        asset = client.get(f"/api/docs/{name}")
        assert (asset.status_code, len(asset.content) > least) == (200, True)


@pytest.mark.usefixtures("installation")
def test_the_openapi_document_is_valid_and_names_every_route(client: httpx.Client) -> None:
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator({**schema, "components": document["components"]})
    assert {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item} == {
        "POST /api/auth/register",
        "POST /api/auth/login",
        "POST /api/auth/logout",
        "GET /api/auth/me",
        "PATCH /api/auth/me",
        "POST /api/auth/password",
        "POST /api/auth/forgot",
        "POST /api/auth/reset",
        "POST /api/auth/delete-account",
        "GET /api/auth/sessions",
        "DELETE /api/auth/sessions/{sessionId}",
        "GET /api/auth/tokens",
        "POST /api/auth/tokens",
        "DELETE /api/auth/tokens/{tokenId}",
        "POST /api/auth/create-video",
        "POST /api/auth/create-video/generate-video",
        "POST /api/auth/video/download",
        "PUT /api/auth/video/status",
        "GET /api/auth/video/gallery",
        "DELETE /api/auth/video/delete",
        "GET /api/auth/video/{videoId}",
        "PATCH /api/auth/video/{videoId}",
        "GET /api/auth/video/{videoId}/download",
        "GET /api/auth/video/{videoId}/thumbnail",
        "POST /api/auth/video/{videoId}/retry",
        "POST /api/auth/video/{videoId}/cancel",
        "GET /api/auth/video/{videoId}/secret-key",
        "POST /api/auth/video/{videoId}/secret-key/rotate",
        "GET /api/auth/video/{videoId}/share",
        "POST /api/auth/video/{videoId}/share",
        "DELETE /api/auth/video/{videoId}/share",
        "GET /api/share/{videoId}/download",
        "GET /api/share/{videoId}/thumbnail",
        "GET /api/admin/videos",
        "GET /api/admin/events",
        "GET /api/admin/stats",
        "DELETE /api/admin/videos",
        "POST /api/admin/videos/{videoId}/rescue",
        "GET /api/admin/deliveries",
        "POST /api/admin/deliveries/{deliveryId}/replay",
        "GET /api/admin/users",
        "PATCH /api/admin/users/{userId}",
        "POST /api/admin/users/{userId}/reset-link",
        "POST /api/admin/invitations",
        "GET /api/admin/reconcile",
        "POST /api/admin/reconcile",
        "GET /healthz",
        "GET /readyz",
    }


@pytest.mark.usefixtures("installation")
def test_every_documented_operation_answers_and_says_no_more_than_is_documented(
    client: httpx.Client, ada: Person, admin: Person
) -> None:
    """The client holds each answer against the document; here every operation is asked once by everyone."""
    document = client.get("/api/openapi.json").json()
    for path, item in document["paths"].items():
        for method in item:
            for api in (client, ada.api, admin.api):
                answer = api.request(method, path.replace("{videoId}", "video_1703123456789_abc123def"))
                assert answer.status_code not in (405, 500), (method, path, answer.text)
                assert answer.status_code != 404 or "{" in path, (method, path)
