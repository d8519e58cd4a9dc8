"""One installation of real processes for all of these tests, which write the table of docs/reliability.md."""

from collections.abc import Iterator

import pytest

from tests.reliability.evidence import Witness
from tests.support.product import House
from tests.support.world import outside_world

WRITE = "--write-reliability"
# Two transfers per user; no timeout while the videos are brought to their stages.
LIMITS = {"RUNNING_PER_USER": "2", "WEBHOOK_TIMEOUT_SECONDS": "3600", "SOURCE_IDLE_SECONDS": "3600"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(WRITE, action="store_true", help="write docs/reliability.md's table from what was seen")


@pytest.fixture(scope="session")
def house(mp4: bytes, moto_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with outside_world(mp4, moto_server, "reliability") as world:
        house = House(world, tmp_path_factory.mktemp("house"), LIMITS)
        house.start_app()
        try:
            yield house
        finally:
            house.stop()


@pytest.fixture(scope="session")
def witness(house: House) -> Witness:
    return Witness(house)


@pytest.fixture(autouse=True)
def _nothing_is_held(house: House) -> Iterator[None]:
    """Release held requests, so that the next test finds generator and S3 as usual."""
    yield
    house.world.proxy.drop_held()
    house.world.proxy.down = False
    house.world.generator.choose = None
