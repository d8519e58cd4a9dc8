"""Reflex's own settings; what a person may set is in videovault/config/."""

import re
from pathlib import Path
from typing import Any

import reflex as rx

from videovault.config import settings

IMPORT_ALL = 'import reflexEnvironment from "$/reflex.json";'
IMPORT_VERSION = 'import { version } from "$/reflex.json"; const reflexEnvironment = { version };'
RELOAD_ONCE = "window.videovaultReload("
VITE_EXPORT, VITE_PLUGINS = "export default defineConfig", "plugins: ["
VITE_PLUGIN = r"""function reloadOnce() {
  const reload = /window\.location\.reload\(\);\s*return new Promise\(\(\) => \{\}\);/;
  return {
    name: "videovault-reload-once",
    transform(code, id) {
      if (!id.endsWith("/routeModules.js")) return;
      return { code: code.replace(reload, "return window.videovaultReload(route.module, error);"), map: null };
    },
  };
}

"""
BAKED_ADDRESS = r'(["`]){scheme}://localhost:\d+(/[^"`]*)\1'


class ReproduciblePlugin(rx.plugins.Plugin):
    """The pages depend on the version alone, so that replicas that were built separately serve the same files.

    Reflex compiles the time of the build and a random id of the folder into them, with all of reflex.json.
    """

    def pre_compile(self, **context: Any) -> None:
        context["add_modify_task"]("utils/state.js", _import_version_only)


def _import_version_only(script: str) -> str:
    if IMPORT_ALL not in script and IMPORT_VERSION not in script:
        raise RuntimeError(
            "Reflex's state.js imports reflex.json in another way: are the pages still reproducible?"
        )
    return script.replace(IMPORT_ALL, IMPORT_VERSION)


class ReloadOncePlugin(rx.plugins.Plugin):
    """A page whose file is gone is loaded again once, by assets/js/reload_once.js.

    React Router reloads the page in a loop when a redirect leads to the missing file.
    """

    def pre_compile(self, **context: Any) -> None:
        context["add_modify_task"]("vite.config.js", _replace_reload)

    def post_build(self, **context: Any) -> None:
        scripts = Path(context["static_dir"]).glob("assets/*.js")
        if not any(RELOAD_ONCE in script.read_text() for script in scripts):
            raise RuntimeError(
                "React Router reloads in another way: does a page without its files reload once?"
            )


def _replace_reload(config: str) -> str:
    if VITE_PLUGIN in config:
        return config
    if VITE_EXPORT not in config or VITE_PLUGINS not in config:
        raise RuntimeError("Reflex's vite.config.js has changed: where do plugins go?")
    config = config.replace(VITE_EXPORT, VITE_PLUGIN + VITE_EXPORT, 1)
    return config.replace(VITE_PLUGINS, f"{VITE_PLUGINS}\n    reloadOnce(),", 1)


class SameOriginPlugin(rx.plugins.Plugin):
    """The pages talk to the address they came from; Reflex bakes in the port that they were built with."""

    def post_build(self, **context: Any) -> None:
        for script in Path(context["static_dir"]).glob("assets/reflex-env-*.js"):
            text = script.read_text()
            text = re.sub(
                BAKED_ADDRESS.format(scheme="ws"), r"`${location.origin.replace('http', 'ws')}\2`", text
            )
            text = re.sub(BAKED_ADDRESS.format(scheme="http"), r"`${location.origin}\2`", text)
            script.write_text(text)


config = rx.Config(
    app_name="videovault",
    telemetry_enabled=False,
    show_built_with_reflex=False,
    backend_host=settings().host,
    backend_port=settings().port,
    frontend_port=settings().port,
    cors_allowed_origins=[],  # no other site's page may call the API; the websocket has its own rule in videovault.py
    redis_url=settings().redis_url or None,
    state_manager_mode=rx.constants.StateManagerMode.REDIS
    if settings().redis_url
    else rx.constants.StateManagerMode.MEMORY,
    frontend_lazy_bundled_libraries=True,
    frontend_compression_formats=["brotli", "gzip"],
    plugins=[ReproduciblePlugin(), ReloadOncePlugin(), SameOriginPlugin()],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
