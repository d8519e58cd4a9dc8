"""docs/security.md names for every table who can grow it, its bound and what removes rows; all names exist."""

import importlib
import re

import pytest
from sqlmodel import SQLModel

from tests.support.security_document import SECURITY
from videovault import models
from videovault.services.maintenance import repair

CONSTANT = re.compile(r"`([\w.]+)\.([A-Z][A-Z_]+)`")
PURGE = re.compile(r"`([\w.]+)\.(purge)`")


def section() -> str:
    _, _, rest = SECURITY.read_text().partition("\n## What may grow\n")
    return rest.partition("\n## ")[0]


def rows() -> dict[str, list[str]]:
    """The cells of each line, by table name."""
    cells = [line.strip("| ").split(" | ") for line in section().splitlines() if line.startswith("| `")]
    return {name.strip("`"): rest for name, *rest in cells}


def test_every_table_has_its_line_and_every_line_its_table() -> None:
    assert models.User.metadata is SQLModel.metadata
    assert sorted(rows()) == sorted(SQLModel.metadata.tables)


@pytest.mark.parametrize("table", sorted(rows()))
def test_each_line_names_writer_bound_and_removal(table: str) -> None:
    cells = rows()[table]
    assert len(cells) == 3
    assert all(cell.strip() for cell in cells)


def test_each_bound_that_is_named_exists() -> None:
    named = CONSTANT.findall(section())
    assert len(named) > 15
    for module, name in named:
        assert getattr(importlib.import_module(f"videovault.services.{module}"), name), f"{module}.{name}"


def test_each_documented_purge_runs_and_vice_versa() -> None:
    named = {
        getattr(importlib.import_module(f"videovault.services.{m}"), p) for m, p in PURGE.findall(section())
    }
    running = {step for step in repair.PURGES if step.__name__ == "purge"}
    assert named == running
