"""The inputs of the build of the pages."""

from pathlib import Path

import pytest

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
