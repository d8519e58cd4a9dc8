"""An upgrade while everything runs: the previous release goes on on the new tables, and leaves what the new code reads."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from redis import Redis

from tests.support.app import ROOT, RunningApp, free_port, running_app
from tests.support.keys import ONE_KEY
from tests.support.postgres import _created
from tests.support.product import PASSWORD, Person, video_id_of
from tests.support.raw_tab import HYDRATE, RawTab
from tests.support.waiting import HANG_SECONDS, eventually
from tests.support.world import World, outside_world
from videovault import db
from videovault.state.gallery import GalleryState

pytestmark = [pytest.mark.cluster, pytest.mark.process]
# The newest tag, or without tags the commit in this file.
NAMED = ROOT / "tests" / "fixtures" / "previous_release"
PICKLE_OF_MISSING_CLASS = b"\x80\x04\x8c\x04gone\x8c\x05State\x93)\x81."
TROUBLE = ("Traceback", "failed, trying again", "[error", "no such column", "UndefinedColumn")


def output_of(*command: str) -> bytes:
    """Empty if it fails."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).stdout


@dataclass(frozen=True)
class Upgrade:
    """The previous release in ``root``, and the settings that both releases run with."""

    root: Path
    world: World
    settings: dict[str, str]
    data_dir: Path

    @contextmanager
    def running(self, root: Path) -> Iterator[RunningApp]:
        with running_app(self.data_dir, root, **self.settings) as app:
            yield app

    def migrate(self) -> None:
        """With the new code."""
        own = {"DATA_DIR": str(self.data_dir), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "videovault", "migrate"]
        environment = {**os.environ, **self.settings, **own}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=HANG_SECONDS,
        )
        assert done.returncode == 0, done.stderr

    def revision(self) -> str:
        with psycopg.connect(self.settings["QUEUE_URL"]) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row and row[0])


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the previous release; skipped where its commit is not in the clone."""
    program = shutil.which("git")
    if program is None:
        pytest.skip("git is not installed here")
    tag = output_of(program, "describe", "--tags", "--abbrev=0").decode().strip()
    release = tag or NAMED.read_text().strip()
    packed = output_of(program, "archive", release)
    if not packed:
        pytest.skip(
            f"the previous release ({release}) is not in this clone: fetch its history (git fetch --unshallow)"
        )
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=BytesIO(packed)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def upgrade(
    previous: Path,
    mp4: bytes,
    moto_server: str,
    postgres_server: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Upgrade]:
    database = _created(postgres_server)
    with outside_world(mp4, moto_server, "upgrade") as world:
        settings = world.settings | {
            "DATABASE_URL": database,
            "QUEUE_URL": database.replace("+psycopg", ""),
            "REDIS_URL": redis_url,
            "SECRET_KEY": ONE_KEY,
            "WORKERS": "2",
            "PORT": str(free_port()),  # of both releases: a page goes on at the same address
        }
        yield Upgrade(previous, world, settings, tmp_path_factory.mktemp("upgrade"))


def test_the_previous_release_works_on_the_new_tables_and_its_pages_and_rows_in_the_new_one(
    upgrade: Upgrade, redis_url: str
) -> None:
    """The order of a rolling upgrade: migrate while the previous release runs, then replace its processes."""
    films: dict[str, bytes] = {}
    with upgrade.running(upgrade.root) as app:
        assert upgrade.revision() in db.known_revisions()
        with signed_up(app.url, "ada@example.com") as ada:
            films |= smoke(upgrade, ada)
            tab = open_page(app.url, ada)
            upgrade.migrate()
            assert upgrade.revision() == db.known_revisions()[0]
            read = len(app.log.read_bytes())
            films |= smoke(upgrade, ada)
            with signed_up(app.url, "bob@example.com") as bob:
                smoke(upgrade, bob)
            assert missing_in_gallery(app.url, ada, tab, films) == set()
        app.stop()
        assert troubles(app.log, read) == []
    tabs = tabs_in(redis_url)
    assert tabs, "the previous release kept no page's state"

    read = len(app.log.read_bytes())
    with upgrade.running(ROOT) as app:
        # Its state may be dropped, but the page has to work.
        assert missing_in_gallery(app.url, ada, tab, films) == set()
        assert tabs_in(redis_url) == tabs, "the page got another state instead of its own"
        with httpx.Client(base_url=app.url, headers=ada.api.headers, timeout=HANG_SECONDS) as api:
            again = Person(api, ada.email, ada.user_id)
            assert downloads(again, films) == films
            films |= smoke(upgrade, again)
        forget_classes(redis_url)
        assert missing_in_gallery(app.url, ada, tab, films) == set()
        app.stop()
        assert troubles(app.log, read) == []


@contextmanager
def signed_up(url: str, email: str) -> Iterator[Person]:
    with httpx.Client(base_url=url, timeout=HANG_SECONDS) as api:
        account = {"email": email, "password": PASSWORD}
        data = api.post("/api/auth/register", json=account).raise_for_status().json()["data"]
        api.headers["Authorization"] = f"Bearer {data['token']}"
        yield Person(api, email, data["user"]["userId"])


def smoke(upgrade: Upgrade, person: Person) -> dict[str, bytes]:
    """Write a script, create a video of it, import another one, see both in the gallery, and download them."""
    assert person.write_script("Bread").json()["data"]["hook"]
    asked = [video_id_of(person.generate())]
    number = len(upgrade.world.objects())
    asked.append(person.store(upgrade.world.generator.file(f"imported-{number}.mp4")))
    films = dict.fromkeys(asked, upgrade.world.film)
    eventually(lambda: films.keys() <= listed(person), lambda: str(seen(person)))
    assert downloads(person, films) == films
    return films


def seen(person: Person) -> list[dict[str, Any]]:
    answer = person.api.get("/api/auth/video/gallery", params={"userId": person.user_id})
    videos: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["videos"]
    return videos


def listed(person: Person) -> set[str]:
    return {video["videoId"] for video in seen(person) if video["status"] == "ready"}


def downloads(person: Person, films: dict[str, bytes]) -> dict[str, bytes]:
    found = {}
    for video_id in films:
        link = person.api.get(f"/api/auth/video/{video_id}/download")
        assert link.status_code == 302, link.text
        found[video_id] = httpx.get(link.headers["Location"]).raise_for_status().content
    return found


def open_page(url: str, person: Person) -> str:
    """Open the gallery and leave it; returns the token by which the tab returns."""
    with RawTab(url, cookie=cookie_of(person)) as tab:
        load_gallery(tab)
        return tab.token


def missing_in_gallery(url: str, person: Person, token: str, films: Iterable[str]) -> set[str]:
    """Those of ``films`` that the gallery does not show in a tab that returns to it."""
    with RawTab(url, token=token, cookie=cookie_of(person)) as tab:
        sent = load_gallery(tab)
        return {video_id for video_id in films if video_id not in sent}


def load_gallery(tab: RawTab) -> str:
    """What the page receives."""
    tab.send(HYDRATE)
    tab.send(f"{GalleryState.get_full_name()}.load")
    frames = tab.answers()
    assert not any(frame.sent_to for frame in frames), frames
    return "".join(frame.text for frame in frames)


def tabs_in(redis_url: str) -> set[bytes]:
    """The tabs whose state Redis keeps."""
    with Redis.from_url(redis_url) as redis:
        return {key.partition(b"_reflex___state")[0] for key in redis.scan_iter() if b"gallery_state" in key}


def forget_classes(redis_url: str) -> None:
    """As if the previous release had kept states of classes that the new code no longer has."""
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter():
            if b"_reflex___state" in key:
                redis.set(key, PICKLE_OF_MISSING_CLASS, keepttl=True)


def cookie_of(person: Person) -> str:
    return f"videovault_session={person.api.headers['Authorization'].removeprefix('Bearer ')}"


def troubles(log: Path, start: int) -> list[str]:
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    return [line for line in lines if any(word in line for word in TROUBLE)]
