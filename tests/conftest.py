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
    """What may take long begins first: last, it would keep one core at work while the others have nothing left."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


def pytest_collection_finish() -> None:
    """Looking through everything for rubbish, and often, would be a sixth of all work; what is imported stays anyway."""
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file at a time to each process, and each folder of ``TOGETHER`` as if it were one file."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc] # it comes without types
        def _split_scope(self, nodeid: str) -> str:
            return next(
                (folder for folder in TOGETHER if nodeid.startswith(folder)), super()._split_scope(nodeid)
            )

    return Scheduling(config, log)
