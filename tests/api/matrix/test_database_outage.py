"""While the database does not answer, every operation says so, and when to come back."""

import pytest

from tests.api.matrix.population import Population
from tests.api.matrix.routes import FORM, ROUTES, request_of
from tests.api.matrix.rules import CallerName
from tests.support.database_outage import database_away

pytestmark = pytest.mark.thorough

# These need no database, or report on it; without a mail server there is nothing to request, without a token no metrics.
OTHERS = {
    "GET /healthz": "200",
    "GET /readyz": "503",
    "GET /metrics": "401",
    "POST /api/auth/forgot": "200",
    f"POST /api/auth/forgot{FORM}": "/forgot?done=sent",
}


def test_every_operation_is_503_with_retry_after(population: Population) -> None:
    observed: dict[str, str] = {}
    for name, route in ROUTES.items():
        population.set_status(route.state)
        is_page = name.endswith(FORM)
        caller: CallerName = "admin" if "/admin/" in name else "Ada"
        request = request_of(name, population.context(caller, "own"), is_page=is_page)
        client = population.client(caller, is_page=is_page)
        with database_away():
            answer = client.request(**request)
        if answer.status_code == 303:
            observed[name] = answer.headers["location"]
        else:
            observed[name] = f"{answer.status_code} {answer.headers.get('retry-after', '')}".strip()
    assert {name: seen for name, seen in observed.items() if seen != OTHERS.get(name, "503 5")} == {}
