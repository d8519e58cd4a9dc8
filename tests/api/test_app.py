"""The API documentation."""

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from videovault.api.app import DOCS_PAGE


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
