"""One installation of real processes for all of these tests, which write the table of docs/reliability.md."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.reliability.outcomes import Outcomes
from tests.support.product import House, Worker
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


class Workers:
    """Worker processes that outlast a test: starting one takes a second of CPU time."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._started: list[Worker] = []
        self.ended = ExitStack()

    def running(self, count: int) -> list[Worker]:
        """Exactly ``count`` of them; those that were not killed are used again."""
        alive = [worker for worker in self._started if worker.process.poll() is None]
        for surplus in alive[count:]:
            surplus.kill()
        for paused in alive[:count]:
            paused.go_on()
        new = [self.ended.enter_context(self._house.worker()) for _ in range(count - len(alive))]
        self._started = [*alive[:count], *new]
        return self._started


@pytest.fixture(scope="session")
def workers(house: House) -> Iterator[Workers]:
    made = Workers(house)
    with made.ended:
        yield made


@pytest.fixture(scope="session")
def outcomes(house: House) -> Outcomes:
    return Outcomes(house)


@pytest.fixture(autouse=True)
def _nothing_is_held(house: House) -> Iterator[None]:
    """Release held requests, so that the next test finds generator and S3 as usual."""
    yield
    house.world.proxy.drop_held()
    house.world.proxy.down = False
    house.world.generator.choose = None
