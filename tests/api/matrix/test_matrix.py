"""Every route, asked by everybody about everybody's video: who gets what, and that a refusal changes nothing."""

import pytest
from fastapi.routing import iter_route_contexts

from tests.api.matrix.routes import FORM, ROUTES, Route, request_of
from tests.api.matrix.rules import CALLERS, CallerName, Target
from tests.api.matrix.world import World, is_refusal, seen
from tests.support.documents import table
from tests.support.security_document import in_document
from videovault.api.app import create_api
from videovault.api.responses import TO_A_PAGE

pytestmark = pytest.mark.thorough

COUNTED = {"GET /api/share/{videoId}/download"}  # as a view; nothing else that is safe by HTTP changes a row
Cell = tuple[str, CallerName, Target]


def test_every_operation_has_its_line() -> None:
    """Native forms too: operations that answer them say so by a 303 of their own."""
    named = set()
    for path, item in create_api().openapi()["paths"].items():
        for method, operation in item.items():
            named.add(f"{method.upper()} {path}")
            led_on = operation["responses"].get("303", {}).get("description", TO_A_PAGE)
            named |= {f"{method.upper()} {path}{FORM}"} if led_on != TO_A_PAGE else set()
    assert named == ROUTES.keys()


def test_what_the_document_leaves_out_is_its_own_page() -> None:
    routes = list(iter_route_contexts(create_api().routes))
    assert {route.path for route in routes if not route.include_in_schema} == {
        "/api/callback/{token}/",  # the same as without the slash
        "/api/openapi.json",
        "/api/docs",
        "/api/auth/video/status/",
        "/api/docs/start.js",
        "/api/docs/swagger-ui.css",
        "/api/docs/swagger-ui-bundle.js",
    }


def test_everybody_gets_what_the_table_says_and_a_refusal_changes_nothing(world: World) -> None:
    observed: dict[Cell, str] = {}
    changed: list[Cell] = []
    for name, route in ROUTES.items():
        for cell in _cells(name, route):
            world.put_in(route.state)
            before = world.rows()
            observed[cell] = _answer(world, *cell)
            if world.rows() != before:
                changed.append(cell)
                world.put_back()
        assert not world.lost(), name
        if any(name == cell[0] for cell in changed):
            world.put_all_back()
    assert {cell: said for cell, said in observed.items() if said != _expected(*cell)} == {}
    assert [cell for cell in changed if is_refusal(observed[cell])] == []
    assert {name for name, *_ in changed if name.startswith("GET")} == COUNTED


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
    """One cell for each caller: the answers for own, foreign and absent, or one that is the same for all."""
    cells = []
    for caller in CALLERS:
        answers = [_expected(name, caller, target) for target in route.targets]
        cells.append(answers[0] if len(set(answers)) == 1 else " · ".join(answers))
    return cells


def _answer(world: World, name: str, caller: CallerName, target: Target) -> str:
    is_page = name.endswith(FORM)
    client = world.client(caller, is_page=is_page)
    answer = client.request(**request_of(name, world.ask(caller, target), is_page=is_page))
    return seen(answer, is_page=is_page)
