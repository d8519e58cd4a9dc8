"""CSRF: pages of other sites cannot make a signed-in browser change anything."""

import pytest

from tests.api.matrix import rules
from tests.api.matrix.population import Population
from tests.api.matrix.routes import FORM, ROUTES, request_of
from tests.api.requests import code
from videovault.api.middleware.csrf import SAFE_METHODS

pytestmark = pytest.mark.thorough

# A report URL needs neither cookie nor origin.
UNSAFE = [
    name
    for name, route in ROUTES.items()
    if name.partition(" ")[0] not in SAFE_METHODS and route.rule is not rules.report_url_holder
]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3001"], ids=["site", "port"])
def test_cross_site_pages_change_nothing_with_a_visitors_cookie(population: Population, origin: str) -> None:
    for name in UNSAFE:
        population.set_status(ROUTES[name].state)
        before = population.rows()
        for caller in ("Ada", "admin"):
            browser = population.client(caller, is_page=True)
            browser.headers["Origin"] = origin
            answer = browser.request(
                **request_of(name, population.context(caller, "own"), is_page=name.endswith(FORM))
            )
            assert code(answer) == (403, "FORBIDDEN"), name
        assert population.rows() == before, name
    assert not population.missing_objects()
