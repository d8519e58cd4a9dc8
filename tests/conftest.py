"""pytest plugins, the order of tests and garbage collection; fixtures are described where they are defined."""

import gc
import os
import sys
from typing import Any

import hypothesis
import pytest

# Overrides the environment: otherwise each of many processes would compile all modules again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
gc.disable()  # until all tests are imported

# Folders whose tests share expensive fixtures, so one process runs them, except the files that start something of their own.
TOGETHER = ("tests/reliability/", "tests/journeys/")
ALONE = tuple(f"tests/journeys/test_{name}.py" for name in ("accessibility", "page_attacks", "restart"))
# These share an app that one process starts once.
SITE = tuple(
    f"tests/state/test_{name}.py"
    for name in ("cross_origin", "every_handler", "state_exposure", "untrusted_text", "websockets")
)
SLOW = {"journey", "process", "thorough"}  # the markers that `make test-quick` excludes
SLOW_BEGUN = 0.75  # of all other files have started when the last slow file starts

# No deadline for an example: it would measure the machine, not the code.
hypothesis.settings.register_profile("videovault", deadline=None)
hypothesis.settings.load_profile("videovault")

# A plugin comes after those that it imports: pytest must import each of them first, to rewrite its assertions.
pytest_plugins = [
    "tests.support.embedded_s3",
    "tests.support.security_document",
    "tests.support.accessibility_document",
    "tests.support.answers_document",
    "tests.support.deploying_document",
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
    "tests.support.scrape",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Distribute the slow files evenly over the first part of the run, so that all cores are busy until the end."""
    units: dict[str, list[pytest.Item]] = {}
    for item in items:
        units.setdefault(_unit(item.nodeid), []).append(item)
    slow = [name for name, unit in units.items() if any(map(_is_slow, unit))]
    slow.sort(key=lambda name: name not in (*TOGETHER, *ALONE, "tests/state/"))  # the longest start first
    quick = [name for name in units if name not in set(slow)]
    place = {name: SLOW_BEGUN * number / len(slow) for number, name in enumerate(slow)}
    place |= {name: number / len(quick) for number, name in enumerate(quick)}
    items[:] = [item for name in sorted(units, key=place.__getitem__) for item in units[name]]


def _unit(nodeid: str) -> str:
    """What one process runs as a whole: a file, a folder of ``TOGETHER``, or the files of ``SITE``."""
    file = nodeid.partition("::")[0]
    if file in SITE:
        return "tests/state/"
    return next((folder for folder in TOGETHER if file not in ALONE and file.startswith(folder)), file)


def _is_slow(item: pytest.Item) -> bool:
    return any(marker.name in SLOW for marker in item.iter_markers())


def pytest_collection_finish() -> None:
    """Exclude imported modules from garbage collection, which would take a sixth of the CPU time otherwise."""
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Freeze what is left: pytest collects garbage repeatedly at its end, to find unraisable exceptions."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc] # no types
        def _split_scope(self, nodeid: str) -> str:
            return _unit(nodeid)

    return Scheduling(config, log)
