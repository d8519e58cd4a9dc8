"""docs/connect says what is sent and read; its n8n workflows can be imported, and name only what is really there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.api.requests import BRIEF, generate
from tests.support.documents import ROOT
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import Person
from videovault.config import Settings
from videovault.gateways import webhook_reply
from videovault.services.generation import orders

CONNECT = ROOT / "docs" / "connect"
PAGES = sorted(CONNECT.glob("*.md"))
VENDORS = ("heygen", "synthesia", "d-id", "creatomate", "replicate")
WORKFLOWS = sorted(CONNECT.glob("n8n-*.json"))
# Standard nodes, with versions that n8n 1.30 and every later one knows, and their parameters.
NODES: dict[tuple[str, float], set[str]] = {
    ("n8n-nodes-base.webhook", 2): {"httpMethod", "path", "responseMode", "options"},
    ("n8n-nodes-base.respondToWebhook", 1.1): {"respondWith", "responseBody", "options"},
    ("n8n-nodes-base.httpRequest", 4.2): {
        *("method", "url", "authentication", "genericAuthType", "sendHeaders", "specifyHeaders"),
        *("headerParameters", "sendBody", "contentType", "specifyBody", "jsonBody", "options"),
    },
    ("n8n-nodes-base.if", 2): {"conditions", "options"},
    ("n8n-nodes-base.wait", 1.1): {"resume", "amount", "unit"},
    ("n8n-nodes-base.stickyNote", 1): {"content", "height", "width"},
}
OF_NODE = {"id", "name", "type", "typeVersion", "position", "parameters"}
MAY_HAVE = {"webhookId", "onError", "retryOnFail", "maxTries", "waitBetweenTries"}
BODY_FIELD = re.compile(r"\.?json\.body\.(\w+)")
NODE_NAME = re.compile(r"\$\('([^']+)'\)")
PLACE = re.compile(r"\{\{(\w+)\}\}")
BLOCK = re.compile(r"^```json\n(.+?)^```", re.MULTILINE | re.DOTALL)
SETTING = re.compile(r"`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)\b")


@pytest.fixture
def order(moto_s3: object, ada: Person, generator: Generator, configure: Configure) -> set[str]:
    """The fields of an order that was really sent to the video webhook."""
    del moto_s3
    generator.mode = "processing"
    configure(GENERATE_WAIT_SECONDS=0)
    orders.send_order(str(generate(ada).json()["data"]["videoId"]))
    return set(generator.requests[0])


def workflow(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def expressions(value: Any) -> Iterator[str]:
    """Every parameter that n8n evaluates: those that begin with an equals sign."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from expressions(each)
    elif isinstance(value, str) and value.startswith("="):
        yield value[1:]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_has_the_form_that_n8n_imports(file: Path) -> None:
    found = workflow(file)
    assert {"id", "name", "nodes", "connections", "active", "settings"} <= set(found)
    assert found["active"] is False
    assert "credentials" not in file.read_text()
    names = [node["name"] for node in found["nodes"]]
    assert len(names) == len(set(names))
    ids = [node["id"] for node in found["nodes"]]
    assert len({UUID(each) for each in ids}) == len(ids)
    for node in found["nodes"]:
        assert set(node) >= OF_NODE
        assert set(node) <= OF_NODE | MAY_HAVE
        assert set(node["parameters"]) <= NODES[node["type"], node["typeVersion"]], node["name"]
        assert ("webhookId" in node) == (node["type"].rpartition(".")[2] in ("webhook", "wait"))
        assert all(isinstance(place, int) for place in node["position"])
        assert len(node["position"]) == 2


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_every_node_is_reached_from_the_webhook(file: Path) -> None:
    found = workflow(file)
    kinds = {node["name"]: node["type"].rpartition(".")[2] for node in found["nodes"]}
    steps = {
        source: {target["node"] for output in outputs["main"] for target in output}
        for source, outputs in found["connections"].items()
    }
    assert steps.keys() <= kinds.keys()
    [begin] = [name for name, kind in kinds.items() if kind == "webhook"]
    reached, waiting = set(), [begin]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += steps.get(name, ())
    assert reached == {name for name, kind in kinds.items() if kind != "stickyNote"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_expressions_are_whole_and_name_nodes_that_exist(file: Path) -> None:
    found = workflow(file)
    names = {node["name"] for node in found["nodes"]}
    texts = list(expressions(found["nodes"]))
    assert texts
    for text in texts:
        assert text.startswith("{{ ")
        assert text.endswith(" }}")
        inner = text[2:-2]
        assert "}}" not in inner  # n8n ends an expression there
        assert inner.count("{") == inner.count("}")
        assert inner.count("(") == inner.count(")")
        assert set(NODE_NAME.findall(text)) <= names


def test_the_workflows_and_pages_name_only_fields_that_are_sent(order: set[str]) -> None:
    video = "\n".join(expressions(workflow(CONNECT / "n8n-video.json")["nodes"]))
    assert {"hook", "body", "conclusion", "avatar", "reportUrl"} <= set(BODY_FIELD.findall(video)) <= order
    script = "\n".join(expressions(workflow(CONNECT / "n8n-script.json")["nodes"]))
    assert set(BODY_FIELD.findall(script)) <= {*BRIEF, "email"}
    for vendor in VENDORS:
        named = set(PLACE.findall((CONNECT / f"{vendor}.md").read_text()))
        assert {"hook", "body", "conclusion", "avatar", "reportUrl"} <= named <= order, vendor


def test_the_readme_shows_what_is_sent(order: set[str]) -> None:
    brief, sent = [json.loads(block) for block in BLOCK.findall((CONNECT / "README.md").read_text())]
    assert set(brief) == {*BRIEF, "email"}
    assert set(sent) == order


@pytest.mark.parametrize("file", [f"{name}.md" for name in (*VENDORS, "n8n", "make")])
def test_what_a_page_says_is_read_is_read(file: str) -> None:
    text = (CONNECT / file).read_text()
    _, _, read = text.partition("## What VideoVault reads")
    blocks = BLOCK.findall(read)
    assert len(blocks) >= 2
    states = set()
    for block in blocks:
        said = webhook_reply.read(block.encode(), "application/json")
        states.add(said.state)
        films = set(re.findall(r'https://[^"]+\.mp4[^"]*', block))
        assert said.state != "unread", block
        assert {said.video_url} - {""} == films, block
        if said.state in ("failed", "rejected") and "error" in block:
            assert said.message, block
    assert "ready" in states
    assert states & {"failed", "rejected"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_settings_and_links_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    unknown = set(SETTING.findall(text)) - {name.upper() for name in Settings.model_fields}
    assert unknown == set()
    links = re.findall(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if link != "answers.md" and not (page.parent / link).exists()] == []


def test_the_model_s_answer_is_passed_on_as_it_came_and_read() -> None:
    """The script workflow answers with the first item: a whole chat completion."""
    script = {"hook": "Hello", "body": "It is a thing.", "conclusion": "Call us."}
    answer = {
        "id": "chatcmpl-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": json.dumps(script)}}],
    }
    read = webhook_reply.read_script(json.dumps(answer).encode(), "application/json")
    assert (read.hook, read.body, read.conclusion) == tuple(script.values())
