"""Unforeseen requests: whatever is sent, the answer is no server error and matches the document.

ANY_REQUEST=long tries far more, and others each time.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from requests import Request
from schemathesis import Case, Config, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from tests.api.matrix.routes import ROUTES
from tests.api.matrix.rules import CallerName
from tests.api.matrix.world import World
from tests.support.people import BASE
from videovault.api.app import create_api

pytestmark = pytest.mark.thorough

Operation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]
LONG = os.environ.get("ANY_REQUEST") == "long"
EXAMPLES = 100 if LONG else 8  # of each kind for each operation
load_all_checks()
# What a schema cannot say, such as which texts are e-mail addresses, is refused although the schema lets it in.
NOT_ASKED = ["positive_data_acceptance", "ignored_auth"]


def test_no_request_finds_a_fault(world: World) -> None:
    for operation in _operations():
        has_parts = bool(operation.path_parameters or operation.query or operation.body)
        kinds = list(GenerationMode) if has_parts else [GenerationMode.POSITIVE]
        for kind in kinds:
            world.put_in(ROUTES[operation.label].state)
            _ask(world, operation, kind, EXAMPLES if has_parts else 1)
            world.put_back()


def _operations() -> Iterator[Operation]:
    """Not with made-up sessions and tokens: who is let in is the matrix's matter."""
    config = Config.from_dict({"generation": {"with-security-parameters": False}})
    for found in schemathesis.openapi.from_dict(create_api().openapi(), config=config).get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


def _ask(world: World, operation: Operation, kind: GenerationMode, examples: int) -> None:
    caller: CallerName = "admin" if operation.path.startswith("/api/admin") else "Ada"

    @settings(
        max_examples=examples,
        derandomize=not LONG,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(kind), data=st.data())
    def sent(case: AnyCase, data: st.DataObject) -> None:
        if kind is GenerationMode.POSITIVE:
            _mix(case, data, _good(world, operation, caller))
        answer = world.client(caller, is_page=False).send(_request(case, world.callers[caller].token))
        answer.elapsed = timedelta(0)  # which the checks want to know
        case.validate_response(answer, excluded_checks=_excluded(answer))

    sent()


def _good(world: World, operation: Operation, caller: CallerName) -> Mapping[str, Any]:
    """What leads on: names of what is there, and fields that are taken."""
    route, ask = ROUTES[operation.label], world.ask(caller, "own")
    return {
        **ask.me.by_name,
        **(route.body(ask) if route.body else {}),
        **(route.query(ask) if route.query else {}),
    }


def _mix(case: AnyCase, data: st.DataObject, good: Mapping[str, Any]) -> None:
    """Some of the values are good ones, or nothing but refusals would be seen."""
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            names = sorted(good.keys() & part.keys())
            chosen = data.draw(st.sets(st.sampled_from(names))) if names else ()
            part.update({name: good[name] for name in chosen})


def _request(case: AnyCase, token: str) -> httpx.Request:
    """As it would go over the wire."""
    parts = case.as_transport_kwargs(base_url=BASE)
    known = {
        name: parts[name]
        for name in ("method", "url", "headers", "params", "data", "json", "cookies")
        if name in parts
    }
    whole: Any = Request(**known).prepare()
    headers = {**whole.headers, "Authorization": f"Bearer {token}"}
    return httpx.Request(whole.method, whole.url, headers=headers, content=whole.body)


def _excluded(answer: httpx.Response) -> list[Any]:
    """A form is refused by leading back to it, which counts as taken otherwise."""
    names = [*NOT_ASKED, "negative_data_rejection"] if answer.status_code == 303 else NOT_ASKED
    return [CHECKS.get_one(name) for name in names]
