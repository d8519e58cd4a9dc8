"""The lock files contain all packages for every supported Python and system, including those required by extras."""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.setup.package_index import LOCKED_LINE

ROOT = Path(__file__).parent.parent.parent
SYSTEMS = {"linux": ("Linux", "x86_64"), "darwin": ("Darwin", "arm64")}
# 3.11.2 is Debian 12's: before 3.11.3, redis needs async-timeout.
PYTHONS = ("3.11.0", "3.11.2", "3.11.7", "3.12.1", "3.13.0", "3.14.0")
Environment = dict[str, str]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_lock_contains_all_required_packages(name: str, python: str, system: str) -> None:
    environment = _environment(python, system)
    locked = dict(_locked(ROOT / f"{name}.txt", environment))
    if name == "requirements-dev":  # it is installed in addition to the other one
        locked |= dict(_locked(ROOT / "requirements.txt", environment))
    required = list(_required(ROOT / f"{name}.in", environment))
    assert len(required) > 50
    missing = {
        requirement.name for requirement in required if canonicalize_name(requirement.name) not in locked
    }
    assert not missing
    unsatisfied = [
        f"{requirement}, not {version}"
        for requirement in required
        if not requirement.specifier.contains(
            version := locked[canonicalize_name(requirement.name)], prereleases=True
        )
    ]
    assert not unsatisfied


def _environment(python: str, system: str) -> Environment:
    platform, machine = SYSTEMS[system]
    return {
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": system,
        "platform_system": platform,
        "platform_machine": machine,
        "os_name": "posix",
    }


def _locked(path: Path, environment: Environment) -> Iterator[tuple[str, str]]:
    for line in path.read_text().splitlines():
        found = LOCKED_LINE.match(line)
        if found and (not found["marker"] or Marker(found["marker"]).evaluate(environment)):
            yield canonicalize_name(found["name"]), found["version"]


def _required(path: Path, environment: Environment) -> Iterator[Requirement]:
    """The requirements in ``path`` and, by the metadata of the installed packages, all that they require."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith(("#", "-c")))
    remaining = [Requirement(line) for line in lines]
    seen = set()
    while remaining:
        requirement = remaining.pop()
        yield requirement
        for extra in ("", *sorted(requirement.extras)):
            if (requirement.name, extra) not in seen:
                seen.add((requirement.name, extra))
                remaining += _required_by(requirement.name, extra, environment)


@cache
def _requirements_of(name: str) -> list[Requirement]:
    try:
        return [Requirement(line) for line in distribution(name).requires or []]
    except PackageNotFoundError:  # it is for other systems
        return []


def _required_by(name: str, extra: str, environment: Environment) -> Iterator[Requirement]:
    for requirement in _requirements_of(name):
        marker = requirement.marker
        if marker is None:
            if not extra:
                yield requirement
        elif marker.evaluate(environment | {"extra": extra}) and ("extra" in str(marker) or not extra):
            yield requirement
