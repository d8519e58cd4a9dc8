"""Liveness, readiness, and the API documentation."""

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from tests.support.installation import Configure
from videovault.api.app import DOCS_PAGE


@pytest.mark.usefixtures("installation")
def test_healthz_needs_no_other_part(client: httpx.Client, configure: Configure) -> None:
    configure(DATABASE_URL="sqlite:////nowhere/at/all.db")
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.usefixtures("moto_s3")
def test_readyz_checks_all_parts(client: httpx.Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    checks = dict.fromkeys(("database", "disk", "s3", "queue"), "ok")
    assert answer.json() == {"status": "ok", "checks": checks}


@pytest.mark.parametrize(
    ("setting", "value", "part"),
    [
        ("DATABASE_URL", "sqlite:///empty.db", "database"),
        ("AWS_S3_BUCKET_NAME", "there-is-no-such-bucket", "s3"),
        ("QUEUE_URL", "redis://127.0.0.1:1", "queue"),
    ],
)
@pytest.mark.usefixtures("moto_s3")
def test_readyz_names_the_part_that_fails(
    client: httpx.Client, configure: Configure, setting: str, value: str, part: str
) -> None:
    configure(**{setting: value})
    answer = client.get("/readyz")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert [name for name, said in checks.items() if said != "ok"] == [part]
    assert value not in checks[part]


@pytest.mark.usefixtures("installation")
def test_the_docs_page_needs_no_other_host(client: httpx.Client) -> None:
    page = client.get("/api/docs")
    assert page.text == DOCS_PAGE
    assert "//" not in DOCS_PAGE.replace("<!doctype", "")
    for name, least in (("swagger-ui.css", 100_000), ("swagger-ui-bundle.js", 1_000_000), ("start.js", 20)):
        asset = client.get(f"/api/docs/{name}")
        assert (asset.status_code, len(asset.content) > least) == (200, True)


@pytest.mark.usefixtures("installation")
def test_the_openapi_document_is_valid(client: httpx.Client) -> None:
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator({**schema, "components": document["components"]})
