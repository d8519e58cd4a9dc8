"""Fixtures for all tests; each is described where it is made."""

import gc
import os
import sys
from typing import Any

import pytest

# Whatever this machine is set to: tests and all that they start are not compiled anew in each of many processes.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
gc.disable()  # until everything is imported

# Files whose tests share what is dear to begin, and tell together what they saw.
TOGETHER = ("tests/reliability/",)
LONG_BEGUN = 0.75  # of the way through all others, the last of what may take long begins
# One that imports another comes after it: pytest must be the first to import each.
pytest_plugins = [
    "tests.fixtures.embedded_s3",
    "tests.fixtures.security_document",
    "tests.fixtures.accessibility_document",
    "tests.fixtures.log_grep",
    "tests.fixtures.installation",
    "tests.fixtures.passwords",
    "tests.fixtures.media",
    "tests.fixtures.generator",
    "tests.fixtures.jobs",
    "tests.fixtures.people",
    "tests.fixtures.postgres",
    "tests.fixtures.redis",
    "tests.fixtures.browser",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take long is spread among the rest and begun well before the end.

    It keeps the cores at work, while most others wait; and last, it would keep one at work with nothing left beside it.
    """
    units: dict[str, list[pytest.Item]] = {}
    for item in items:
        units.setdefault(_unit(item.nodeid), []).append(item)
    limits = {name: max(map(_limit, unit)) for name, unit in units.items()}
    slow = sorted(filter(limits.__getitem__, units), key=limits.__getitem__, reverse=True)
    quick = [name for name in units if not limits[name]]
    place = {name: LONG_BEGUN * number / len(slow) for number, name in enumerate(slow)}
    place |= {name: number / len(quick) for number, name in enumerate(quick)}
    items[:] = [item for name in sorted(units, key=place.__getitem__) for item in units[name]]


def _unit(nodeid: str) -> str:
    """What is done by one process, in one go: a file, or a folder of ``TOGETHER``."""
    return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.partition("::")[0])


def _limit(item: pytest.Item) -> float:
    """In seconds, where a test has one of its own since it may take long; otherwise 0."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


def pytest_collection_finish() -> None:
    """Looking through everything for rubbish, and often, would be a sixth of all work; what is imported stays anyway."""
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc] # it comes without types
        def _split_scope(self, nodeid: str) -> str:
            return _unit(nodeid)

    return Scheduling(config, log)
