"""CSRF: pages of other sites cannot make a signed-in browser change anything."""

import itertools

import pytest

from tests.api.matrix import rules
from tests.api.matrix.population import Population
from tests.api.matrix.routes import FORM, ROUTES, request_of
from tests.api.matrix.rules import CallerName
from tests.api.requests import code
from videovault.api.middleware.csrf import SAFE_METHODS

pytestmark = pytest.mark.thorough

CALLERS: tuple[CallerName, ...] = ("Ada", "admin")
OTHER_ORIGINS = ("https://evil.example", "http://localhost:3001")  # another site, another port
# A report URL needs neither cookie nor origin.
UNSAFE = [
    name
    for name, route in ROUTES.items()
    if name.partition(" ")[0] not in SAFE_METHODS and route.rule is not rules.report_url_holder
]


def test_cross_site_pages_change_nothing_with_a_visitors_cookie(population: Population) -> None:
    for name in UNSAFE:
        population.set_status(ROUTES[name].state)
        before = population.state()
        for caller, origin in itertools.product(CALLERS, OTHER_ORIGINS):
            browser = population.client(caller, is_page=True)
            browser.headers["Origin"] = origin
            request = request_of(name, population.context(caller, "own"), is_page=name.endswith(FORM))
            assert code(browser.request(**request)) == (403, "FORBIDDEN"), name
        assert population.state() == before, name
