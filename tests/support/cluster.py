"""An installation of several machines on this one, each part of which a test can stop, kill and freeze.

PostgreSQL, Redis, an S3, a generator and sources of videos; replicas and workers from checkouts of their own, and nginx::

    with running_cluster(tmp_path, replicas=2, workers=4, queue="redis") as cluster:
        person = cluster.new_person()                 # calls the API through nginx
        cluster.workers[0].kill()                     # SIGKILL, of all its processes
        cluster.workers[0].start()
        cluster.postgres.freeze()                     # SIGSTOP; connections stay open
        cluster.postgres.thaw()
        cluster.replicas[1].stop()                    # SIGTERM; returns the exit status
        cluster.replicas[1].root = checkout(tmp_path / "new")
        cluster.replicas[1].start()
        cluster.rows("SELECT status FROM videos")

A ``FrozenProxy`` in front of PostgreSQL, Redis or S3 is a network that can be frozen in each direction: pass its URL to
``add_replica`` or ``add_worker`` as a setting.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import httpx
import psycopg
from psycopg.rows import dict_row

from tests.support.app import ROOT, START_SECONDS, free_port
from tests.support.keys import ONE_KEY
from tests.support.media import grey_film
from tests.support.part import LOG_END_CHARACTERS, Part, own_environment
from tests.support.postgres import running_postgres
from tests.support.product import PASSWORD, Person
from tests.support.redis import running_redis
from tests.support.services import answers, configure_nginx, nginx_in, running_s3
from tests.support.waiting import HANG_SECONDS
from tests.support.world import World, outside_world

QueueKind = Literal["postgres", "redis", "sqlite"]
QUEUES: tuple[QueueKind, ...] = ("postgres", "redis", "sqlite")
PRODUCT = ("videovault", "assets", "alembic", "alembic.ini", "reflex.lock", "rxconfig.py")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "external", "node_modules")
CONNECT_SECONDS = 5
PROGRAM = (sys.executable, "-m", "videovault")


@dataclass
class Cluster:
    """``settings`` are those of all replicas and workers; ``url`` is that of nginx, and of the installation."""

    folder: Path
    world: World
    settings: dict[str, str]
    url: str
    database: str
    postgres: Part
    redis: Part
    s3: Part
    nginx: Part
    replicas: list[Part] = field(default_factory=list)
    workers: list[Part] = field(default_factory=list)
    _open: ExitStack = field(default_factory=ExitStack)

    def add_replica(self, root: Path | None = None, **settings: str) -> Part:
        """One more replica, not started, from ``root`` or a checkout of its own. nginx learns of it when it starts."""
        port = str(free_port())
        part = self._product(f"replica-{len(self.replicas) + 1}", "run", root, {"PORT": port, **settings})
        part.ready = lambda: answers(f"http://localhost:{port}/healthz")
        self.replicas.append(part)
        return part

    def add_worker(self, root: Path | None = None, **settings: str) -> Part:
        """One more worker, not started, from ``root`` or a checkout of its own."""
        port = str(free_port())
        own = {"WORKERS": "4", "WORKER_PORT": port, **settings}
        part = self._product(f"worker-{len(self.workers) + 1}", "worker", root, own)
        part.ready = lambda: answers(f"http://127.0.0.1:{port}/readyz")
        self.workers.append(part)
        return part

    def start(self) -> None:
        """Replicas, workers and nginx. The replicas first: a worker may not record a queue in SQLite as all processes'."""
        for parts in (self.replicas, self.workers):
            for part in parts:
                part.start(wait=False)
            for part in parts:
                part.wait_until_ready()
        if self.replicas:
            self.start_nginx()

    def start_nginx(self) -> None:
        """Round robin over the replicas there are now."""
        configure_nginx(self.nginx, self.url, (part.environment["PORT"] for part in self.replicas))
        self.nginx.start()

    def run(self, *arguments: str, root: Path = ROOT, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Another command of the product: ``cluster.run("migrate")``."""
        environment = {
            **own_environment(),
            **self.settings,
            "DATA_DIR": str(self.folder / "command"),
            **settings,
        }
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env={**environment, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """The result of one statement in the database, past all links; placeholders are ``%s``."""
        with psycopg.connect(
            self.database, autocommit=True, row_factory=dict_row, connect_timeout=CONNECT_SECONDS
        ) as connection:
            cursor = connection.execute(sql.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def new_person(self) -> Person:
        """Registered now; calls the API through nginx. Not the first one, who is the admin."""
        email = f"{uuid4().hex[:12]}@example.com"
        api = self._open.enter_context(httpx.Client(base_url=self.url, timeout=HANG_SECONDS))
        answer = api.post("/api/auth/register", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        data = answer.json()["data"]
        api.headers["Authorization"] = f"Bearer {data['token']}"
        api.cookies.clear()
        return Person(api, email, data["user"]["userId"])

    def logs(self) -> str:
        """The ends of the logs of replicas and workers."""
        parts = [*self.replicas, *self.workers]
        return "\n".join(f"{part.name}:\n{part.text()[-LOG_END_CHARACTERS:]}" for part in parts)

    def close(self) -> None:
        self._open.close()
        for part in (self.nginx, *self.replicas, *self.workers):
            part.close()

    def _product(self, name: str, command: str, root: Path | None, settings: dict[str, str]) -> Part:
        data_dir = self.folder / name / "data"
        data_dir.mkdir(parents=True)
        return Part(
            name,
            (*PROGRAM, command),
            root or checkout(self.folder / name / "checkout"),
            self.folder / name / "log",
            ready=lambda: True,
            environment={**self.settings, "DATA_DIR": str(data_dir), **settings},
        )


@contextmanager
def running_cluster(
    folder: Path, *, replicas: int = 2, workers: int = 2, queue: QueueKind = "postgres", **settings: str
) -> Iterator[Cluster]:
    """All of it, ready; ``settings`` are those of all replicas and workers. With 0 of both, the services alone."""
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres(is_durable=True))
        redis_part = stack.enter_context(running_redis(is_durable=True))
        s3 = stack.enter_context(running_s3(folder / "s3"))
        world = stack.enter_context(outside_world(grey_film(), s3.url, "videos"))
        database = postgres.url
        queues = {
            "postgres": database,
            "redis": f"{redis_part.url}/1",
            "sqlite": f"sqlite:///{folder / 'queue.db'}",
        }
        url = f"http://localhost:{free_port()}"
        common = {
            **world.settings,
            "DATABASE_URL": database.replace("postgresql:", "postgresql+psycopg:"),
            "QUEUE_URL": queues[queue],
            "REDIS_URL": f"{redis_part.url}/0",
            "SECRET_KEY": ONE_KEY,
            "PUBLIC_URL": url,
            "SIGNUP": "open",
            "WORKERS": "0",
            **settings,
        }
        nginx = nginx_in(folder / "nginx", url)
        cluster = Cluster(folder, world, common, url, database, postgres, redis_part, s3, nginx)
        stack.callback(cluster.close)
        migrated = cluster.run("migrate")
        assert migrated.returncode == 0, migrated.stderr
        for _ in range(replicas):
            cluster.add_replica()
        for _ in range(workers):
            cluster.add_worker()
        cluster.start()
        yield cluster


def checkout(folder: Path, *, pages: bool = True) -> Path:
    """A copy of the product's files in ``folder``, with the pages that were built from them unless ``pages`` is False."""
    for name in PRODUCT:
        source, copy = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, copy, ignore=NOT_COPIED)
        else:
            shutil.copy(source, copy)
    if pages:
        build_pages(ROOT)
        shutil.copytree(ROOT / ".web", folder / ".web", ignore=NOT_COPIED)
    return folder


def build_pages(root: Path) -> None:
    """Build the pages of a checkout, unless they are built; its front-end packages are those of this one."""
    packages = root / ".web" / "node_modules"
    if not packages.exists() and (ROOT / ".web" / "node_modules").exists():
        shutil.copytree(ROOT / ".web" / "node_modules", packages, symlinks=True)
    subprocess.run(
        [sys.executable, "-c", "from videovault.embedded import frontend; frontend.build()"],
        cwd=root,
        env={**own_environment(), "PYTHONPATH": str(root), "DATA_DIR": str(root / "build-data")},
        check=True,
        timeout=START_SECONDS,
    )
