"""Writes sbom.cdx.json, a CycloneDX 1.6 bill of materials, from the two files that pin what runs: nothing is asked of the network.

The same files and the same installed packages give the same bytes: there is no time in it, and its serial number is
made of its content. Hashes are those that installing checks. Licences are what installed packages of the very same
version say of themselves; a package that is not installed here has none.
"""

import base64
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

ROOT = Path(__file__).parent.parent
FILE = ROOT / "sbom.cdx.json"
MODULES = (
    ROOT / os.environ.get("REFLEX_WEB_WORKDIR", ".web") / "node_modules"
)  # where the built pages' packages are, once they have been built
PINNED = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
CLASSIFIER = "License :: OSI Approved :: "


@dataclass(frozen=True)
class Package:
    """``hashes`` are pairs of CycloneDX's name for the algorithm and hexadecimal digits; ``needs`` are other purls."""

    purl: str
    group: str
    name: str
    version: str
    hashes: tuple[tuple[str, str], ...]
    licence: Mapping[str, Any] | None
    needs: tuple[str, ...]
    is_direct: bool

    def component(self) -> dict[str, Any]:
        found = {
            "type": "library",
            "bom-ref": self.purl,
            "group": self.group,
            "name": self.name,
            "version": self.version,
            "hashes": [{"alg": name, "content": digits} for name, digits in self.hashes],
            "licenses": [self.licence] if self.licence else [],
            "purl": self.purl,
        }
        return {name: value for name, value in found.items() if value}


def bill() -> dict[str, Any]:
    """The whole document."""
    packages = sorted({package.purl: package for package in (*_python(), *_node())}.values(), key=_purl)
    name, version = _product()
    product = f"pkg:generic/{name}@{version}"
    direct = [package.purl for package in packages if package.is_direct]
    body = {
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": product,
                "name": name,
                "version": version,
                "purl": product,
            }
        },
        "components": [package.component() for package in packages],
        "dependencies": [
            {"ref": product, "dependsOn": direct},
            *({"ref": package.purl, "dependsOn": sorted(package.needs)} for package in packages),
        ],
    }
    serial = uuid5(NAMESPACE_URL, json.dumps(body, sort_keys=True))
    head = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
    }
    return head | body


def _python() -> Iterator[Package]:
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.txt").read_text())
    pinned = {found[1]: (found[2], entry) for entry in entries if (found := PINNED.match(entry))}
    for name, (version, entry) in pinned.items():
        needs = [other for other, (_, text) in pinned.items() if name in _needed_by(text)]
        yield Package(
            purl=_pypi(name, version),
            group="",
            name=name,
            version=version,
            hashes=tuple(("SHA-256", digits) for digits in sorted(HASH.findall(entry))),
            licence=_installed_licence(name, version),
            needs=tuple(_pypi(other, pinned[other][0]) for other in needs),
            is_direct="-r requirements.in" in _needed_by(entry),
        )


def _needed_by(entry: str) -> set[str]:
    """What pip-compile says in comments below a package: who asked for it."""
    return {line.strip(" #").removeprefix("via ") for line in entry.splitlines() if line.startswith("    #")}


def _node() -> Iterator[Package]:
    # bun writes JSON with commas after last elements.
    lock = json.loads(re.sub(r",(?=\s*[}\]])", "", (ROOT / "reflex.lock" / "bun.lock").read_text()))
    packages: dict[str, list[Any]] = lock["packages"]
    asked = lock["workspaces"][""]
    direct = {**asked["dependencies"], **asked["devDependencies"]}
    for place, (spec, _, details, integrity) in packages.items():
        group, name, version = _node_name(spec)
        wanted = {**details.get("dependencies", {}), **details.get("optionalDependencies", {})}
        found = (_resolved(packages, place, other) for other in wanted)
        algorithm, _, digits = integrity.partition("-")
        yield Package(
            purl=_npm(spec),
            group=group,
            name=name,
            version=version,
            hashes=((algorithm.upper().replace("SHA", "SHA-"), base64.b64decode(digits).hex()),),
            licence=_node_licence(place, spec),
            needs=tuple(sorted({_npm(packages[other][0]) for other in found if other})),
            is_direct=place in direct,
        )


def _resolved(packages: Mapping[str, Any], place: str, name: str) -> str | None:
    """Where the package stands that ``name`` means inside ``place``: the nearest one, as Node looks for it."""
    while place:
        if f"{place}/{name}" in packages:
            return f"{place}/{name}"
        place = place.rpartition("/")[0]
    return name if name in packages else None


def _node_name(spec: str) -> tuple[str, str, str]:
    whole, _, version = spec.rpartition("@")
    group, _, name = whole.rpartition("/")
    return group, name, version


def _npm(spec: str) -> str:
    group, name, version = _node_name(spec)
    path = f"{quote(group, safe='')}/{name}" if group else name
    return f"pkg:npm/{path}@{quote(version)}"


def _pypi(name: str, version: str) -> str:
    return f"pkg:pypi/{name.lower().replace('_', '-')}@{quote(version)}"


def _installed_licence(name: str, version: str) -> Mapping[str, Any] | None:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    if found.version != version:
        return None
    expression = found.metadata["License-Expression"]
    if expression:
        return {"expression": expression}
    named = [text.removeprefix(CLASSIFIER) for text in found.metadata.get_all("Classifier") or ()]
    said = [text for text in named if text.endswith("License")] or [found.metadata["License"] or ""]
    first_line = said[0].strip().partition("\n")[0]
    return {"license": {"name": first_line}} if first_line else None


def _node_licence(place: str, spec: str) -> Mapping[str, Any] | None:
    name, _, version = spec.rpartition("@")
    above = place.removesuffix(name).rstrip("/")
    folder = MODULES / above / "node_modules" / name if above else MODULES / name
    file = folder / "package.json"
    about = json.loads(file.read_text()) if file.is_file() else {}
    said = about.get("license")
    return {"expression": said} if about.get("version") == version and isinstance(said, str) else None


def _product() -> tuple[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["name"], project["version"]


def _purl(package: Package) -> str:
    return package.purl


if __name__ == "__main__":
    made = bill()
    FILE.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    known = sum("licenses" in component for component in made["components"])
    print(f"wrote {FILE.name}: {len(made['components'])} packages, {known} with a licence", file=sys.stderr)
