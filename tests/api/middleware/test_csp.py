"""The Content Security Policy of pages and other responses."""

import pytest
from starlette.datastructures import MutableHeaders

from tests.support.installation import Configure
from videovault.api.middleware.csp import DENY_ALL, ResponseInfo, add_headers
from videovault.gateways import storage

SCRIPTS = ("sha256-one", "sha256-two")


def policy(content_type: str, status: int = 200, **asked: str) -> str | None:
    """The Content Security Policy of a response; None without one."""
    headers = MutableHeaders()
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in asked.items()]
    scope = {"type": "http", "path": "/create", "headers": sent}
    add_headers(headers, ResponseInfo(scope, status, content_type), SCRIPTS)
    return headers.get("content-security-policy")


def rules(text: str | None) -> dict[str, list[str]]:
    assert text
    return {name: sources for name, *sources in (rule.split() for rule in text.split(";"))}


def test_pages_run_only_own_files_and_hashed_scripts() -> None:
    page = rules(policy("text/html; charset=utf-8"))
    assert page["script-src"] == ["'self'", "'sha256-one'", "'sha256-two'"]
    assert page["default-src"] == page["base-uri"] == page["frame-ancestors"] == ["'none'"]
    every_source = {source for sources in page.values() for source in sources}
    assert not {"'unsafe-eval'", "'unsafe-inline'", "*", "https:", "http:"} & every_source


@pytest.mark.parametrize("content_type", ["application/json", "image/svg+xml", "text/javascript", ""])
def test_other_responses_deny_everything(content_type: str) -> None:
    assert policy(content_type) == DENY_ALL


def test_not_modified_updates_the_policy_of_pages_only() -> None:
    assert policy("", 304, sec_fetch_dest="document") == policy("text/html")
    assert policy("", 304, sec_fetch_dest="script") is None


KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
ELSEWHERE: list[dict[str, str]] = [
    {"AWS_S3_BUCKET_NAME": "films"},
    {"AWS_S3_BUCKET_NAME": "films", "AWS_REGION": "eu-central-1"},
    {"AWS_S3_BUCKET_NAME": "films.example.com", "AWS_REGION": "eu-central-1"},
    {"AWS_S3_BUCKET_NAME": "films", "AWS_REGION": "cn-north-1"},
    {"AWS_S3_BUCKET_NAME": "films", "AWS_ENDPOINT_URL_S3": "https://s3.example.com:9000"},
    {
        "AWS_S3_BUCKET_NAME": "films",
        "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
        "S3_ADDRESSING_STYLE": "virtual",
    },
    {
        "AWS_S3_BUCKET_NAME": "films",
        "AWS_ENDPOINT_URL_S3": "http://inside:9000",
        "S3_PUBLIC_ENDPOINT_URL": "https://s3.example.com",
    },
    {"S3_PUBLIC_ENDPOINT_URL": "https://s3.example.com"},
]


@pytest.mark.parametrize("chosen", ELSEWHERE, ids=lambda chosen: " ".join(chosen.values()))
def test_pages_may_show_media_from_the_bucket(configure: Configure, chosen: dict[str, str]) -> None:
    configure(**({**KEYS, **chosen} if "AWS_S3_BUCKET_NAME" in chosen else chosen))
    link = storage.connected().presign("film.mp4", seconds=60)
    page = rules(policy("text/html"))
    for kind in ("media-src", "img-src"):
        assert any(link.startswith(f"{source}/") for source in page[kind]), (link, page[kind])


def test_the_embedded_bucket_needs_no_other_origin(configure: Configure) -> None:
    configure(PUBLIC_URL="https://videos.example.com")
    assert rules(policy("text/html"))["media-src"] == ["'self'"]
