"""Reflex's own settings; what a person may set is in videovault/config/."""

import re
from pathlib import Path
from typing import Any

import reflex as rx

from videovault.config import settings

IMPORT_ALL = 'import reflexEnvironment from "$/reflex.json";'
IMPORT_VERSION = 'import { version } from "$/reflex.json"; const reflexEnvironment = { version };'
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
    plugins=[ReproduciblePlugin(), SameOriginPlugin()],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
