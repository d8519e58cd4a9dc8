"""Fixtures for all tests; each is described where it is made."""

import gc
import os
import sys
from typing import Any

import hypothesis
import pytest

# Whatever this machine is set to: tests and all that they start are not compiled anew in each of many processes.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
gc.disable()  # until everything is imported

# Folders whose tests share what is expensive to start, except the files that start something of their own.
TOGETHER = ("tests/reliability/", "tests/journeys/")
ALONE = tuple(f"tests/journeys/test_{name}.py" for name in ("accessibility", "page_attacks", "restart"))
SLOW = {"journey", "process", "thorough"}  # the markers of what `make test-quick` leaves out
SLOW_BEGUN = 0.75  # of the way through all others, the last slow file begins

# How fast a machine is says nothing about the code: no deadline for an example.
hypothesis.settings.register_profile("videovault", deadline=None)
hypothesis.settings.load_profile("videovault")

# One that imports another comes after it: pytest must be the first to import each.
pytest_plugins = [
    "tests.support.embedded_s3",
    "tests.support.security_document",
    "tests.support.accessibility_document",
    "tests.support.answers_document",
    "tests.support.stores",
    "tests.support.log_grep",
    "tests.support.installation",
    "tests.support.passwords",
    "tests.support.media",
    "tests.support.generator",
    "tests.support.jobs",
    "tests.support.people",
    "tests.support.postgres",
    "tests.support.redis",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files are spread among the rest and begun well before the end, so that all cores are busy until then."""
    units: dict[str, list[pytest.Item]] = {}
    for item in items:
        units.setdefault(_unit(item.nodeid), []).append(item)
    slow = [name for name, unit in units.items() if any(map(_is_slow, unit))]
    quick = [name for name in units if name not in set(slow)]
    place = {name: SLOW_BEGUN * number / len(slow) for number, name in enumerate(slow)}
    place |= {name: number / len(quick) for number, name in enumerate(quick)}
    items[:] = [item for name in sorted(units, key=place.__getitem__) for item in units[name]]


def _unit(nodeid: str) -> str:
    """What is done by one process, in one go: a file, or a folder of ``TOGETHER``."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if file not in ALONE and file.startswith(folder)), file)


def _is_slow(item: pytest.Item) -> bool:
    return any(marker.name in SLOW for marker in item.iter_markers())


def pytest_collection_finish() -> None:
    """Looking through everything for rubbish, and often, would be a sixth of all work; what is imported stays anyway."""
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """pytest looks through everything for lost exceptions, repeatedly, when it ends: after the first time little is left."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc] # it comes without types
        def _split_scope(self, nodeid: str) -> str:
            return _unit(nodeid)

    return Scheduling(config, log)
