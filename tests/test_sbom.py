"""`make sbom`: a valid CycloneDX document of all that is pinned, the same for everyone and at any time."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cyclonedx.schema
import pytest
from jsonschema_rs import Draft7Validator, Registry

from tests.support.documents import ROOT

SCHEMAS = Path(cyclonedx.schema.__file__).parent / "_res"  # the standard's own files, unchanged
SCHEMA = json.loads((SCHEMAS / "bom-1.6.SNAPSHOT.schema.json").read_text())


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    return json.loads(_written())  # type: ignore[no-any-return] # it is an object, or the schema says so


def test_it_is_valid_by_the_standards_schema(bill: dict[str, Any]) -> None:
    validator = _validator()
    validator.validate(bill)
    damaged = json.loads(json.dumps(bill))
    damaged["components"][0]["hashes"][0]["content"] = "no digits"
    assert not validator.is_valid(damaged)


def test_it_names_every_package_that_is_pinned_with_its_hashes(bill: dict[str, Any]) -> None:
    named = {component["purl"]: component for component in bill["components"]}
    pinned = re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    locked = re.findall(
        r'^    "[^"]+": \["([^"]+)"', (ROOT / "reflex.lock/bun.lock").read_text(), re.MULTILINE
    )
    wanted = {f"pkg:pypi/{name}@{version}" for name, version in pinned}
    wanted |= {
        "pkg:npm/" + spec.replace("@", "%40", 1) if spec[0] == "@" else f"pkg:npm/{spec}" for spec in locked
    }
    assert named.keys() == wanted
    assert len(wanted) > 250
    assert [purl for purl, component in named.items() if not component["hashes"]] == []
    [hashed] = named["pkg:npm/react@19.3.1"]["hashes"] if "pkg:npm/react@19.3.1" in named else [None]
    assert hashed is None or (hashed["alg"], len(hashed["content"])) == ("SHA-512", 128)


def test_what_depends_on_what_is_told(bill: dict[str, Any]) -> None:
    needs = {each["ref"].rpartition("@")[0]: each["dependsOn"] for each in bill["dependencies"]}
    assert any(purl.startswith("pkg:pypi/botocore@") for purl in needs["pkg:pypi/boto3"])
    assert any(purl.startswith("pkg:npm/scheduler@") for purl in needs["pkg:npm/react-dom"])
    direct = {purl.rpartition("@")[0] for purl in needs["pkg:generic/videovault"]}
    assert {"pkg:pypi/reflex", "pkg:pypi/passlib", "pkg:pypi/httpx", "pkg:npm/react"} <= direct
    known = {component["bom-ref"] for component in bill["components"]}
    assert {purl for purls in needs.values() for purl in purls} <= known


def test_licences_of_installed_packages_are_told(bill: dict[str, Any]) -> None:
    python = [each for each in bill["components"] if each["purl"].startswith("pkg:pypi/")]
    assert sum("licenses" in each for each in python) > len(python) * 0.9


def test_nothing_in_it_depends_on_time_place_or_order() -> None:
    elsewhere = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C", "HOME": "/nowhere"}
    assert _written() == _written(**elsewhere)


def _written(**environment: str) -> str:
    code = "import json; from scripts import sbom; print(json.dumps(sbom.bill(), indent=2))"
    made = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return made.stdout


def _validator() -> Draft7Validator:
    """The schema refers to two others by their names beside it."""
    base = SCHEMA["$id"].rpartition("/")[0]
    names = ("spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json")
    beside = [(f"{base}/{name}", json.loads((SCHEMAS / name).read_text())) for name in names]
    return Draft7Validator(SCHEMA, registry=Registry(beside))
