"""Files of the pages outlive one upgrade."""

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse

from videovault.embedded import frontend
from videovault.embedded.previous_assets import PreviousAssets


class Pages:
    """Built pages, each version of which has one file of its own and one that all have."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self._client, self._data_dir = folder / frontend.PAGES, data_dir
        self._stamp = folder / frontend.STAMP

    @property
    def assets(self) -> Path:
        return self._client / frontend.ASSETS

    def upgrade(self, version: str) -> None:
        """As `run` does it."""
        frontend.keep_pages(self._data_dir)
        assets = self.assets
        assets.mkdir(parents=True, exist_ok=True)
        for old in assets.iterdir():
            old.unlink()
        for name in (f"page-{version}.js", f"page-{version}.js.br", "shared-1.js"):
            (assets / name).write_text(f"{name} of {version}")
        self._stamp.write_text(frontend.stamp("inputs"))
        frontend.keep_pages(self._data_dir)


@pytest.fixture
def pages(installation: Path, monkeypatch: pytest.MonkeyPatch) -> Pages:
    monkeypatch.setenv("REFLEX_WEB_WORKDIR", str(installation / "web"))
    return Pages(installation / "web", installation / "var")


def get(path: str, encoding: str = "identity") -> httpx.Response:
    return asyncio.run(_get(path, encoding))


async def _get(path: str, encoding: str) -> httpx.Response:
    transport = httpx.ASGITransport(PreviousAssets(PlainTextResponse("the current version")))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(path, headers={"Accept-Encoding": encoding})


def test_files_of_the_version_before_are_there_and_older_ones_are_not(pages: Pages) -> None:
    for version in ("one", "two", "three"):
        pages.upgrade(version)
    previous = get("/assets/page-two.js")
    assert (previous.text, previous.headers["content-type"]) == (
        "page-two.js of two",
        "text/javascript; charset=utf-8",
    )
    for path in ("/assets/page-one.js", "/assets/page-three.js", "/assets/shared-1.js", "/create"):
        assert get(path).text == "the current version"


def test_they_are_compressed_as_those_of_the_current_version(pages: Pages) -> None:
    pages.upgrade("one")
    pages.upgrade("two")
    assert get("/assets/page-one.js", "br").headers["content-encoding"] == "br"


def test_no_other_file_can_be_read(pages: Pages, installation: Path) -> None:
    pages.upgrade("one")
    (installation / "var" / "pages" / "secret.js").write_text("secret")
    for path in ("/assets/../../secret.js", "/assets/%2e%2e/%2e%2e/secret.js", "/assets/..", "/assets/"):
        assert get(path).text == "the current version"


def test_a_start_of_the_same_version_adds_nothing(pages: Pages, installation: Path) -> None:
    pages.upgrade("one")
    pages.upgrade("two")
    frontend.keep_pages(installation / "var")
    frontend.keep_pages(installation / "var")
    assert len(frontend.kept_versions(installation / "var")) == 2


def test_pages_that_cannot_be_kept_are_only_logged(
    pages: Pages, installation: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (installation / "var" / "pages").write_text("not a folder")
    pages.upgrade("one")
    assert "cannot be kept" in caplog.text


def test_files_that_cannot_all_be_copied_leave_nothing(
    pages: Pages, installation: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pages.upgrade("one")
    unreadable = pages.assets / "unreadable.js"
    unreadable.symlink_to(installation / "nowhere")
    for kept in (installation / "var" / "pages").iterdir():
        shutil.rmtree(kept)
    frontend.keep_pages(installation / "var")
    assert "cannot be kept" in caplog.text
    assert list((installation / "var" / "pages").iterdir()) == []
