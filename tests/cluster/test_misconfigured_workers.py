"""Six workers with one wrong setting each: none starts, each says which, and no video is touched."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import psycopg
import pytest
from redis import Redis

from tests.support.app import ROOT, RunningApp, running_app
from tests.support.keys import ONE_KEY, OTHER_KEY
from tests.support.product import PASSWORD, Person, video_id_of
from tests.support.waiting import HANG_SECONDS, eventually
from tests.support.world import World, outside_world

pytestmark = [pytest.mark.cluster, pytest.mark.process]
VIDEOS = 3
BUCKET, OTHER_BUCKET = "identity", "identity-other"


@dataclass(frozen=True)
class Cluster:
    """An app without workers in front of PostgreSQL, Redis and S3, with videos that wait for a worker."""

    world: World
    settings: dict[str, str]
    folder: Path
    app: RunningApp

    def worker(self, root: Path = ROOT, /, **changed: str) -> CompletedProcess[str]:
        """Start a worker that is expected to end at once; an empty value removes the setting."""
        return subprocess.run(
            [sys.executable, "-m", "videovault", "worker"],
            cwd=root,
            env=self._environment(root, changed),
            capture_output=True,
            text=True,
            check=False,
            timeout=HANG_SECONDS,
        )

    @contextmanager
    def running_worker(self) -> Iterator[None]:
        with (self.folder / "worker.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "videovault", "worker"],
                cwd=ROOT,
                env=self._environment(ROOT, {}),
                stdout=log,
                stderr=log,
            )
            try:
                yield
            finally:
                process.terminate()
                process.wait(HANG_SECONDS)

    def rows(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings["DATABASE_URL"].replace("+psycopg", "")) as connection:
            return connection.execute("SELECT * FROM videos ORDER BY id").fetchall()

    def jobs(self) -> list[Any]:
        with Redis.from_url(self.settings["QUEUE_URL"]) as redis:
            return list(redis.lrange("huey.redis.videovault", 0, -1))

    def _environment(self, root: Path, changed: dict[str, str]) -> dict[str, str]:
        of_worker = {"DATA_DIR": str(self.folder / "worker"), "PYTHONPATH": str(root)}
        found = {**os.environ, **self.settings, **of_worker, **changed}
        return {name: value for name, value in found.items() if value}


@pytest.fixture(scope="module")
def cluster(
    mp4: bytes,
    moto_server: str,
    postgres_server: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("identity")
    with psycopg.connect(
        f"{postgres_server}/postgres".replace("+psycopg", ""), autocommit=True
    ) as connection:
        connection.execute("CREATE DATABASE misconfigured_workers")
    with outside_world(mp4, moto_server, BUCKET) as world, ExitStack() as opened:
        world.s3.create_bucket(Bucket=OTHER_BUCKET)
        settings = world.settings | {
            "DATABASE_URL": f"{postgres_server}/misconfigured_workers",
            "QUEUE_URL": redis_url,
            "SECRET_KEY": ONE_KEY,
        }
        app = opened.enter_context(running_app(folder / "app", **settings, WORKERS="0"))
        yield Cluster(world, settings, folder, app)


@pytest.fixture(scope="module")
def person(cluster: Cluster) -> Iterator[Person]:
    """Has asked for videos that no worker has begun."""
    with httpx.Client(base_url=cluster.app.url, timeout=HANG_SECONDS) as api:
        account = {"email": "anna@example.com", "password": PASSWORD}
        data = api.post("/api/auth/register", json=account).raise_for_status().json()["data"]
        api.headers["Authorization"] = f"Bearer {data['token']}"
        found = Person(api, account["email"], data["user"]["userId"])
        for number in range(VIDEOS):
            found.store(cluster.world.generator.file(f"film-{number}.mp4"))
        video_id_of(found.generate())
        yield found


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"SECRET_KEY": OTHER_KEY}, ["SECRET_KEY: the installation uses the key "]),
        ({"AWS_S3_BUCKET_NAME": OTHER_BUCKET}, [f"AWS_S3_BUCKET_NAME: the installation uses {BUCKET}, this process"]),
        ({"AWS_ENDPOINT_URL_S3": "moto"}, ["AWS_ENDPOINT_URL_S3: the installation uses http://127.0.0.1:"]),
        ({"QUEUE_URL": "redis"}, ["QUEUE_URL: the installation uses redis://127.0.0.1:"]),
        (
            {"AWS_S3_BUCKET_NAME": "", "AWS_ENDPOINT_URL_S3": "", "VIDEO_WEBHOOK_URL": ""},
            [
                f"AWS_S3_BUCKET_NAME: the installation uses {BUCKET}, this process the embedded S3 in",
                "VIDEO_WEBHOOK_URL: the installation uses an external generator, this process the embedded studio",
            ],
        ),
    ],
    ids=["key", "bucket", "endpoint", "queue", "nothing of S3"],
)  # fmt: skip
def test_worker_with_another_setting_says_which_and_touches_nothing(
    cluster: Cluster, person: Person, moto_server: str, changed: dict[str, str], told: list[str]
) -> None:
    del person
    others = {"moto": moto_server, "redis": cluster.settings["QUEUE_URL"].replace("/0", "/1")}
    before = cluster.rows(), cluster.jobs()
    done = cluster.worker(**{name: others.get(value, value) for name, value in changed.items()})
    assert done.returncode == 2, done.stderr
    assert all(text in done.stderr for text in told), done.stderr
    assert "Traceback" not in done.stderr
    assert not any(secret in done.stderr for secret in (ONE_KEY, OTHER_KEY))
    assert (cluster.rows(), cluster.jobs()) == before
    assert cluster.world.objects() == {}


def test_worker_of_an_older_version_says_so_and_touches_nothing(
    cluster: Cluster, person: Person, tmp_path: Path
) -> None:
    """The same code without the newest migration."""
    del person
    shutil.copytree(
        ROOT / "videovault", tmp_path / "videovault", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "alembic", tmp_path / "alembic", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    max((tmp_path / "alembic" / "versions").glob("[0-9]*.py")).unlink()
    before = cluster.rows(), cluster.jobs()
    done = cluster.worker(tmp_path)
    assert done.returncode == 2, done.stderr
    assert "of a later version of VideoVault" in done.stderr
    assert (cluster.rows(), cluster.jobs()) == before


def test_afterwards_the_right_worker_stores_every_video(cluster: Cluster, person: Person) -> None:
    with cluster.running_worker():
        eventually(
            lambda: len(ready(person)) == VIDEOS + 1, lambda: str(person.api.get(gallery(person)).json())
        )


def ready(person: Person) -> list[Any]:
    videos = person.api.get(gallery(person)).json()["data"]["videos"]
    return [video for video in videos if video["status"] == "ready"]


def gallery(person: Person) -> str:
    return f"/api/auth/video/gallery?userId={person.user_id}"
