"""What browsers are told an answer may do."""

import pytest
from starlette.datastructures import MutableHeaders

from tests.support.installation import Configure
from videovault.api.middleware.csp import NOTHING, ResponseInfo, add_headers
from videovault.gateways import storage

SCRIPTS = ("sha256-one", "sha256-two")


def policy(content_type: str, status: int = 200, **asked: str) -> str | None:
    """The content security policy of an answer, None for none."""
    headers = MutableHeaders()
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in asked.items()]
    scope = {"type": "http", "path": "/create", "headers": sent}
    add_headers(headers, ResponseInfo(scope, status, content_type), SCRIPTS)
    return headers.get("content-security-policy")


def rules(text: str | None) -> dict[str, list[str]]:
    assert text
    return {name: sources for name, *sources in (rule.split() for rule in text.split(";"))}


def test_a_page_may_run_our_files_and_the_scripts_it_was_built_with_and_nothing_else() -> None:
    page = rules(policy("text/html; charset=utf-8"))
    assert page["script-src"] == ["'self'", "'sha256-one'", "'sha256-two'"]
    assert page["default-src"] == page["base-uri"] == page["frame-ancestors"] == ["'none'"]
    every_source = {source for sources in page.values() for source in sources}
    assert not {"'unsafe-eval'", "'unsafe-inline'", "*", "https:", "http:"} & every_source


@pytest.mark.parametrize("content_type", ["application/json", "image/svg+xml", "text/javascript", ""])
def test_anything_but_a_page_may_do_nothing(content_type: str) -> None:
    assert policy(content_type) == NOTHING


def test_not_modified_renews_the_policy_of_a_page_and_leaves_that_of_a_file() -> None:
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
def test_a_page_may_show_what_is_in_the_bucket(configure: Configure, chosen: dict[str, str]) -> None:
    configure(**({**KEYS, **chosen} if "AWS_S3_BUCKET_NAME" in chosen else chosen))
    link = storage.connected().presign("film.mp4", seconds=60)
    page = rules(policy("text/html"))
    for kind in ("media-src", "img-src"):
        assert any(link.startswith(f"{source}/") for source in page[kind]), (link, page[kind])


def test_the_embedded_bucket_is_on_our_own_address(configure: Configure) -> None:
    configure(PUBLIC_URL="https://videos.example.com")
    assert rules(policy("text/html"))["media-src"] == ["'self'"]
