"""Serves the kept files of earlier pages beside those of the current ones."""

import re
from pathlib import Path

from reflex.utils.precompressed_staticfiles import PrecompressedStaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from videovault.config import settings
from videovault.embedded import frontend
from videovault.embedded.kept_pages import kept_versions

ENCODINGS = ("brotli", "gzip")
FILE = re.compile(rf"/{frontend.ASSETS}/[\w.-]+")


class PreviousAssets:
    """ASGI middleware that answers requests for files that only an earlier version of the pages has."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._current = frontend.web_dir() / frontend.PAGES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        version = self._version_with(scope["path"]) if scope["type"] == "http" else None
        app = PrecompressedStaticFiles(directory=version, encodings=ENCODINGS) if version else self.app
        await app(scope, receive, send)

    def _version_with(self, path: str) -> Path | None:
        """The folder of the version that has the file; None if the current one has it, or none."""
        if not FILE.fullmatch(path) or (self._current / path[1:]).exists():
            return None
        kept = kept_versions(settings().data_dir)
        return next((version for version in kept if (version / path[1:]).exists()), None)
