"""Generated requests: no response is a server error, and all match the OpenAPI document.

ANY_REQUEST=long tries many more, with a random seed.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from requests import Request
from schemathesis import Case, Config, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from tests.api.matrix.population import Population
from tests.api.matrix.routes import ROUTES
from tests.api.matrix.rules import CallerName
from tests.support.people import BASE

pytestmark = pytest.mark.thorough

Operation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]
LONG = os.environ.get("ANY_REQUEST") == "long"
EXAMPLES = 100 if LONG else 5  # of each kind for each operation
load_all_checks()
# A schema cannot express everything, such as which texts are e-mail addresses.
EXCLUDED_CHECKS = ["positive_data_acceptance", "ignored_auth"]


def test_generated_requests_cause_no_internal_error(population: Population, api: FastAPI) -> None:
    for operation in _operations(api.openapi()):
        has_parts = bool(operation.path_parameters or operation.query or operation.body)
        kinds = list(GenerationMode) if has_parts else [GenerationMode.POSITIVE]
        for kind in kinds:
            population.set_status(ROUTES[operation.label].state)
            _ask(population, operation, kind, EXAMPLES if has_parts else 1)
            population.restore()


def _operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Without invented sessions and tokens: access is tested by the matrix."""
    config = Config.from_dict({"generation": {"with-security-parameters": False}})
    for found in schemathesis.openapi.from_dict(dict(document), config=config).get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


def _ask(population: Population, operation: Operation, kind: GenerationMode, examples: int) -> None:
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
            _mix_in(case, data, _valid_values(population, operation, caller))
        answer = population.client(caller, is_page=False).send(
            _request(case, population.callers[caller].token)
        )
        answer.elapsed = timedelta(0)  # needed by the checks
        case.validate_response(answer, excluded_checks=_excluded(answer))

    sent()


def _valid_values(population: Population, operation: Operation, caller: CallerName) -> Mapping[str, Any]:
    """Valid values: ids of existing things, and fields that are accepted."""
    route, context = ROUTES[operation.label], population.context(caller, "own")
    return {
        **context.me.by_name,
        **(route.body(context) if route.body else {}),
        **(route.query(context) if route.query else {}),
    }


def _mix_in(case: AnyCase, data: st.DataObject, valid: Mapping[str, Any]) -> None:
    """Replace some values by valid ones, so that not all requests are refused."""
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            names = sorted(valid.keys() & part.keys())
            chosen = data.draw(st.sets(st.sampled_from(names))) if names else ()
            part.update({name: valid[name] for name in chosen})


def _request(case: AnyCase, token: str) -> httpx.Request:
    """The request as sent over the network."""
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
    """A refused form is redirected back to its page, which schemathesis would count as accepted."""
    names = [*EXCLUDED_CHECKS, "negative_data_rejection"] if answer.status_code == 303 else EXCLUDED_CHECKS
    return [CHECKS.get_one(name) for name in names]
