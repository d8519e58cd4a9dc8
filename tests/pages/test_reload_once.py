"""The pages are built so that one whose file is gone is loaded again once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rxconfig import ReloadOncePlugin
from videovault.embedded.frontend import ROOT
from videovault.pages.layout import HEAD, RELOAD_ONCE

CONFIG = "import x;\nexport default defineConfig((config) => ({\n  plugins: [\n    reactRouter(),\n  ],\n}));"


def configured(config: str) -> str:
    """The configuration of the build with the plugin's changes."""
    changes: list[Callable[[str], str]] = []
    ReloadOncePlugin().pre_compile(add_modify_task=lambda _file, change: changes.append(change))
    return changes[0](config)


def test_react_router_is_built_without_its_own_reload() -> None:
    built = configured(CONFIG)
    assert "plugins: [\n    reloadOnce(),\n    reactRouter()," in built
    assert built.index("function reloadOnce()") < built.index("export default")
    assert configured(built) == built


def test_an_unknown_configuration_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"vite\.config\.js has changed"):
        configured("export default {}")


def test_pages_that_would_reload_in_a_loop_are_an_error(tmp_path: Path) -> None:
    script = tmp_path / "assets" / "router-1.js"
    script.parent.mkdir()
    script.write_text("window.location.reload(),new Promise(()=>{})")
    with pytest.raises(RuntimeError, match="reloads in another way"):
        ReloadOncePlugin().post_build(static_dir=tmp_path)
    script.write_text("window.videovaultReload(e.module,t)")
    ReloadOncePlugin().post_build(static_dir=tmp_path)


def test_the_script_of_each_page_is_its_file() -> None:
    assert RELOAD_ONCE == ROOT / "assets" / "js" / "reload_once.js"
    assert "videovaultReload" in str(HEAD[0])
