"""Whatever changes something, no page of another site makes a signed-in browser do it."""

import pytest

from tests.api.matrix import rules
from tests.api.matrix.routes import FORM, ROUTES, request_of
from tests.api.matrix.world import World
from tests.api.requests import code
from videovault.api.middleware.csrf import SAFE_METHODS

pytestmark = pytest.mark.thorough

# At a report address neither cookie nor origin counts: anyone with the address may report, from anywhere.
UNSAFE = [
    name
    for name, route in ROUTES.items()
    if name.partition(" ")[0] not in SAFE_METHODS and route.rule is not rules.address_holder
]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3001"], ids=["site", "port"])
def test_a_page_from_elsewhere_changes_nothing_by_its_visitors_cookie(world: World, origin: str) -> None:
    for name in UNSAFE:
        world.put_in(ROUTES[name].state)
        before = world.rows()
        for caller in ("Ada", "admin"):
            browser = world.client(caller, is_page=True)
            browser.headers["Origin"] = origin
            answer = browser.request(
                **request_of(name, world.ask(caller, "own"), is_page=name.endswith(FORM))
            )
            assert code(answer) == (403, "FORBIDDEN"), name
        assert world.rows() == before, name
    assert not world.lost()
