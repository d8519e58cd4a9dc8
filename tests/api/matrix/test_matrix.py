"""Access matrix: every operation for every caller and target. A refusal changes nothing, and reveals nothing."""

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tests.api.matrix.population import Population, is_refusal, outcome_of
from tests.api.matrix.routes import FORM, ROUTES, Route, request_of
from tests.api.matrix.rules import CALLERS, CallerName, Target
from tests.support.documents import table
from tests.support.security_document import in_document
from videovault.api.responses import HTML_REDIRECT

pytestmark = pytest.mark.thorough

COUNTED = {"GET /api/share/{videoId}/download"}  # it counts a view; no other safe method changes a row
Cell = tuple[str, CallerName, Target]


def test_the_table_covers_every_operation(api: FastAPI) -> None:
    """Native forms included: operations that accept them document a 303 of their own."""
    named = set()
    for path, item in api.openapi()["paths"].items():
        for method, operation in item.items():
            named.add(f"{method.upper()} {path}")
            redirected = operation["responses"].get("303", {}).get("description", HTML_REDIRECT)
            named |= {f"{method.upper()} {path}{FORM}"} if redirected != HTML_REDIRECT else set()
    assert named == ROUTES.keys()


def test_openapi_leaves_out_only_duplicates_and_the_docs_page(api: FastAPI) -> None:
    routes = list(iter_route_contexts(api.routes))
    assert {route.path for route in routes if not route.include_in_schema} == {
        "/api/callback/{token}/",  # the same as without the slash
        "/api/openapi.json",
        "/api/docs",
        "/api/auth/video/status/",
        "/api/docs/start.js",
        "/api/docs/swagger-ui.css",
        "/api/docs/swagger-ui-bundle.js",
    }


def test_responses_match_the_table_and_refusals_change_nothing(population: Population) -> None:
    observed: dict[Cell, str] = {}
    bodies: dict[Cell, bytes] = {}
    changed: list[Cell] = []
    for name, route in ROUTES.items():
        population.set_status(route.state)
        before = population.state()
        for cell in _cells(name, route):
            answer = _answer(population, *cell)
            observed[cell], bodies[cell] = outcome_of(answer, is_page=name.endswith(FORM)), answer.content
            if population.state() != before:
                changed.append(cell)
                population.restore()
                population.set_status(route.state)
                before = population.state()
    assert {cell: outcome for cell, outcome in observed.items() if outcome != _expected(*cell)} == {}
    assert [cell for cell in changed if is_refusal(observed[cell])] == []
    assert {name for name, *_ in changed if name.startswith("GET")} == COUNTED
    absent = [cell for cell in observed if cell[2] == "foreign" and observed[cell] == "404"]
    assert absent
    assert [cell for cell in absent if bodies[cell] != bodies[*cell[:2], "absent"]] == []


def test_the_document_shows_the_table(request: pytest.FixtureRequest) -> None:
    """After a change: `python -m pytest tests/api/matrix --write-security`."""
    shown = table(
        ("Operation", "For", *CALLERS),
        [
            (f"`{name}`", (route.rule.__doc__ or "").rstrip("."), *_line(name, route))
            for name, route in ROUTES.items()
        ],
    )
    assert in_document(request.config, "matrix", shown) == shown


def _cells(name: str, route: Route) -> list[Cell]:
    return [(name, caller, target) for caller in CALLERS for target in route.targets]


def _expected(name: str, caller: CallerName, target: Target) -> str:
    return ROUTES[name].expected(name.partition(" ")[0], caller, target)


def _line(name: str, route: Route) -> list[str]:
    """One cell per caller: the responses for own, foreign and absent targets, or one if all are equal."""
    cells = []
    for caller in CALLERS:
        answers = [_expected(name, caller, target) for target in route.targets]
        cells.append(answers[0] if len(set(answers)) == 1 else " · ".join(answers))
    return cells


def _answer(population: Population, name: str, caller: CallerName, target: Target) -> httpx.Response:
    is_page = name.endswith(FORM)
    client = population.client(caller, is_page=is_page)
    return client.request(**request_of(name, population.context(caller, target), is_page=is_page))
