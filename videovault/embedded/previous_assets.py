"""Serves the kept files of earlier pages beside those of the current ones."""

from pathlib import Path

from reflex.utils.precompressed_staticfiles import PrecompressedStaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from videovault.config import settings
from videovault.embedded import frontend
from videovault.embedded.frontend import kept_versions

ENCODINGS = ("brotli", "gzip")


class PreviousAssets:
    """ASGI middleware that answers requests for files that only an earlier version of the pages has."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._version_by_file = _version_by_file()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        version = self._version_by_file.get(scope["path"]) if scope["type"] == "http" else None
        app = PrecompressedStaticFiles(directory=version, encodings=ENCODINGS) if version else self.app
        await app(scope, receive, send)


def _version_by_file() -> dict[str, Path]:
    """The folder of a version with each file that the current pages lack, by the file's path.

    Read once, at the start, before which the pages are built.
    """
    found: dict[str, Path] = {}
    for version in kept_versions(settings().data_dir):
        for file in _files(version):
            found.setdefault(file, version)
    return {file: found[file] for file in found.keys() - _files(frontend.web_dir() / frontend.PAGES)}


def _files(pages: Path) -> set[str]:
    return {f"/{frontend.ASSETS}/{file.name}" for file in (pages / frontend.ASSETS).glob("*")}
