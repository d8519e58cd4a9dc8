"""Every claim in docs/security.md is held by a test."""

import ast
import asyncio
import re

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.support.documents import ROOT
from tests.support.installation import Configure
from tests.support.security_document import SECURITY, in_document
from videovault.api.middleware.stack import wrap_in_middleware

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ITEM = re.compile(r"^\| (V\d+\.\d+\.\d+)", re.MULTILINE)


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(SECURITY.read_text())
    assert len(named) > 50
    assert [f"{file}::{test}" for file, test in named if test not in _tests_in(file)] == []


def test_every_item_that_is_met_names_its_proof() -> None:
    _, _, rest = SECURITY.read_text().partition("## What was done")
    met = [line for line in rest.partition("## ")[0].splitlines() if ITEM.match(line)]
    assert len(met) > 30
    assert [line for line in met if not NAMED.search(line)] == []


def test_no_item_is_both_met_and_not() -> None:
    items = ITEM.findall(SECURITY.read_text())
    assert sorted(items) == sorted(set(items))


def test_the_policies_are_those_that_are_served(request: pytest.FixtureRequest, configure: Configure) -> None:
    """After a change: `python -m pytest tests/test_security_document.py --write-security`."""
    configure()
    shown = "\n".join(
        ["```", *(f"{path:5} {rule}" for path in ("/", "/api") for rule in _policy(path).split("; ")), "```"]
    )
    assert in_document(request.config, "content security policy", shown) == shown


def _tests_in(file: str) -> set[str]:
    path = ROOT / file
    tree = ast.parse(path.read_text() if path.exists() else "")
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _policy(path: str) -> str:
    """The policy as served, with one inline script, whose hash is omitted."""

    async def page(_request: Request) -> Response:
        return HTMLResponse("<p>A page</p>")

    async def ask() -> str:
        app = wrap_in_middleware(
            Starlette(routes=[Route("/", page)]), lambda: ["sha256-OfEachScriptInThePage"]
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return str((await client.get(path)).headers["content-security-policy"])

    return asyncio.run(ask())
