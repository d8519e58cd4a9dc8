"""The build of the pages: its inputs, and that they alone decide about its files."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import HANG_SECONDS
from videovault.embedded import frontend
from videovault.errors import ConfigurationError

ROOT = frontend.ROOT


def test_inputs_are_what_the_pages_are_made_of_and_nothing_else() -> None:
    inputs = {str(file.relative_to(ROOT)) for file in frontend.input_files()}
    assert {"rxconfig.py", "reflex.lock/bun.lock", "assets/css/base.css", "videovault/models.py"} <= inputs
    for folder in ("pages", "components"):
        modules = {str(file.relative_to(ROOT)) for file in (ROOT / "videovault" / folder).rglob("[!_]*.py")}
        assert modules <= inputs
    assert not [
        name for name in inputs if name.startswith(("tests", "videovault/api", "videovault/embedded"))
    ]


@pytest.mark.parametrize("path", ["assets", "videovault/videovault.py"])
def test_a_missing_input_is_an_error(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(frontend, "OTHER_INPUTS", (Path("/nowhere") / path,))
    with pytest.raises(ConfigurationError, match=f"/nowhere/{path} is missing"):
        frontend.input_files()


def test_a_missing_module_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontend, "ENTRY_MODULES", ("videovault.no_such_module",))
    with pytest.raises(ConfigurationError, match=r"no_such_module\.py is missing"):
        frontend.input_files()


@pytest.mark.process
def test_pages_built_in_another_folder_and_on_another_port_are_the_same(tmp_path: Path) -> None:
    """So that replicas can serve each other's pages. Two processes of a new folder start the build at once."""
    frontend.build()
    elsewhere = tmp_path / "elsewhere"
    for name in ("videovault", "assets", "reflex.lock"):
        shutil.copytree(
            ROOT / name, elsewhere / name, ignore=shutil.ignore_patterns("__pycache__", "external")
        )
    shutil.copy(ROOT / "rxconfig.py", elsewhere)
    settings = {"PORT": "4999", "DATA_DIR": str(tmp_path / "var"), "PYTHONPATH": str(elsewhere)}
    build = [sys.executable, "-c", "from videovault.embedded import frontend; frontend.build()"]
    environment = {**os.environ, **settings}
    builds = [subprocess.Popen(build, cwd=elsewhere, env=environment) for _ in range(2)]
    assert [each.wait(HANG_SECONDS) for each in builds] == [0, 0]
    pages = _digests(ROOT)
    assert "index.html" in pages
    assert _digests(elsewhere) == pages


def _digests(folder: Path) -> dict[str, str]:
    pages = folder / ".web" / frontend.PAGES
    return {
        str(file.relative_to(pages)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in pages.rglob("*")
        if file.is_file()
    }
