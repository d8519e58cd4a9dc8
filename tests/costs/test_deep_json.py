"""Untrusted JSON has a depth limit everywhere, so that it cannot raise RecursionError."""

import ast
import json
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.costs import regex_uses
from tests.costs.instruction_count import steps
from videovault import untrusted_json
from videovault.errors import WebhookError
from videovault.gateways.ssrf import AddressGuard
from videovault.gateways.webhooks import StatusClient, Webhooks
from videovault.services.generation import webhook_log

pytestmark = pytest.mark.thorough

# Modules that read JSON which this product has written itself.
TRUSTED = {
    "videovault.installation": "the file with the installation's keys",
    "videovault.services.transfer.standalone": "the journal of an unfinished transfer",
    "videovault.embedded.studio.render_queue": "the studio's own renderer",
    "videovault.api.responses": "our own answer, for a browser that wants a page",
    "videovault.gateways.conversion_child": "what its parent process orders",
    "videovault.config.validation": "the administrator's settings, once untrusted_json.check has seen them",
    "videovault.embedded.web_process": "where to listen, from the process that it replaced",
    "videovault.gateways.s3_client": "botocore's own data files",
    "videovault.untrusted_json": "within the limit",
}
DEEP = {
    "lists": "[" * 100_000,
    "objects": '{"a":' * 100_000,
    "closed lists": "[" * 5_000 + "]" * 5_000,
    "behind a string": '["\\"]]]]", ' + "[" * 5_000 + "]" * 5_000 + "]",
    "opened and not closed": "[[]" * 50_000,
    "one too many": "[" * (untrusted_json.MAX_DEPTH + 1) + "]" * (untrusted_json.MAX_DEPTH + 1),
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_json_that_is_too_deep_is_a_value_error_in_any_encoding(text: str, encoding: str) -> None:
    with pytest.raises(untrusted_json.TooDeep):
        untrusted_json.loads(text.encode(encoding))


@pytest.mark.parametrize(
    "value",
    [
        [[]] * 1000,
        {"a": [{"b": "[[[[" * 50, '"': ["\\", '\\"', "]]"]}] * 50},
        "[" * 100,
        json.loads("[" * 32 + "]" * 32),
    ],
    ids=["wide", "brackets in strings", "a string", "as deep as may be"],
)
def test_json_within_the_depth_limit_is_parsed(value: Any) -> None:
    assert untrusted_json.loads(json.dumps(value)) == value
    assert untrusted_json.loads(json.dumps(value).encode("utf-16")) == value


@pytest.mark.parametrize("text", ["[", "[]", "[[]", "[a"])
def test_json_that_is_too_deep_is_detected_quickly(text: str) -> None:
    """Anonymous clients may send 1 MiB, so the depth is checked first."""
    raw = (text * 100_000).encode()

    def look() -> None:
        with suppress(untrusted_json.TooDeep):
            untrusted_json.check(raw)

    assert steps(look) < 20 * len(raw)


def _answering(content: str) -> httpx.MockTransport:
    return httpx.MockTransport(
        lambda _request: httpx.Response(200, stream=httpx.ByteStream(content.encode()))
    )


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_generators_deep_reply_is_not_understood(text: str) -> None:
    client = httpx.Client(transport=_answering(text))
    webhooks = Webhooks(
        client, script_url="https://hooks.example/s", video_url="https://hooks.example/v", backoff=0
    )
    assert webhooks.generate({}, idempotency_key="v:1").state == "unread"
    with pytest.raises(WebhookError, match="not a script"):
        webhooks.write_script({})


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_deep_status_is_not_understood(text: str) -> None:
    client = StatusClient(AddressGuard(frozenset()), _answering(text))
    assert client.poll("https://generator.example/jobs/1").reply.state == "unread"


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_deep_callback_names_no_video(text: str) -> None:
    assert webhook_log.video_id_in(text.encode()) == ""


def test_no_other_module_reads_json_without_the_limit() -> None:
    assert {
        module for module, tree in regex_uses.modules() if any(map(_reads_json, ast.walk(tree)))
    } == TRUSTED.keys()


def _reads_json(node: ast.AST) -> bool:
    """Whether it calls ``json.loads`` or its like, or the ``json()`` of an answer."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    is_module = isinstance(node.func.value, ast.Name) and node.func.value.id == "json"
    return node.func.attr in ("loads", "load", "JSONDecoder") if is_module else node.func.attr == "json"
