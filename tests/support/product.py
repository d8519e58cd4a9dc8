"""An installation as a user runs it, whose processes a test kills and whose clock and locks it can touch."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from sqlmodel import SQLModel

from tests.support.app import ROOT, RunningApp, free_port, running_app
from tests.support.waiting import HANG_SECONDS, eventually
from tests.support.world import World
from videovault.clock import UtcDateTime

PASSWORD = "correct horse"
FAST_WORKER, PLAIN_WORKER = ("tests.support.fast_worker",), ("videovault", "worker")
A_MINUTE_AGO = "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-1 minute')"


@dataclass(frozen=True)
class Worker:
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as a service manager does; its exit status."""
        self.process.terminate()
        return self.process.wait(HANG_SECONDS)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@dataclass
class House:
    """The app without workers of its own, so that each can be killed alone; ``films`` are what was to be stored.

    ``limits`` are settings of what runs in it.
    """

    world: World
    data_dir: Path
    limits: Mapping[str, str]
    films: dict[str, bytes] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)
    _running: RunningApp | None = None
    _port: str = field(default_factory=lambda: str(free_port()))

    @property
    def settings(self) -> dict[str, str]:
        return {**self.world.settings, **self.limits, "PORT": self._port, "DATA_DIR": str(self.data_dir)}

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.settings, "PYTHONPATH": str(ROOT)}

    @property
    def app(self) -> RunningApp:
        assert self._running
        return self._running

    def start_app(self) -> None:
        settings = {name: value for name, value in self.settings.items() if name != "DATA_DIR"}
        self._running = self._open.enter_context(running_app(self.data_dir, **settings, WORKERS="0"))

    def kill_app(self) -> None:
        """All of it at once, as a power cut would; the one that serves would end in good order without its parent."""
        main = self.app.process.pid
        self.app.process.send_signal(signal.SIGSTOP)  # so that it does not replace another worker
        for child in Path(f"/proc/{main}/task/{main}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        self.app.stop(signal.SIGKILL)

    def stop(self) -> None:
        self._open.close()

    @contextmanager
    def worker(self, transfers: int = 12, command: Sequence[str] = FAST_WORKER) -> Iterator[Worker]:
        """A worker process, for the length of the block unless it is killed before."""
        with (self.data_dir / f"worker-{uuid4().hex[:6]}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.data_dir,  # away from the developer's .env
                env=self._environment | {"WORKERS": str(transfers)},
                stdout=log,
                stderr=log,
            )
        worker = Worker(process)
        try:
            yield worker
        finally:
            worker.kill()

    def reconcile(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "videovault", "reconcile", *options]
        return subprocess.run(
            command, cwd=self.data_dir, env=self._environment, capture_output=True, text=True, check=False
        )

    def new_person(self) -> "Person":
        email = f"{uuid4().hex[:12]}@example.com"
        api = self._open.enter_context(httpx.Client(base_url=self.app.url, timeout=HANG_SECONDS))
        data = api.post("/api/auth/register", json={"email": email, "password": PASSWORD}).json()["data"]
        api.headers["Authorization"] = f"Bearer {data['token']}"
        return Person(api, email, data["user"]["userId"])

    # The database, as it can be changed only with access to the machine.

    def rows(self, sql: str, *values: str, database: str = "videovault.db") -> list[dict[str, Any]]:
        with closing(self._connection(database)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, values)]

    def row(self, video_id: str) -> dict[str, Any]:
        """The video's row; empty when it is gone."""
        found = self.rows("SELECT * FROM videos WHERE id = ?", video_id)
        return found[0] if found else {}

    def age(self, table: str, column: str) -> None:
        """Let a minute pass for all timestamps that are set, instead of waiting."""
        self.rows(f"UPDATE {table} SET {column} = {A_MINUTE_AGO} WHERE {column} IS NOT NULL")  # noqa: S608 - names of ours

    def leases_run_out(self) -> None:
        """As if the workers had been dead for a minute."""
        self.age("videos", "heartbeat_at")
        self.age("videos", "call_heartbeat_at")

    def clock_jumps(self, hours: int) -> None:
        """As if the machine's clock had been set ahead by so many hours, or back: all times are as much older or newer."""
        for table in SQLModel.metadata.sorted_tables:
            for column in table.columns:
                # When a video was made stands in its sidecar too, which no clock changes.
                if isinstance(column.type, UtcDateTime) and column.name != "created_at":
                    moved = f"strftime('%Y-%m-%d %H:%M:%f000', {column.name}, '{-hours:+} hours')"
                    self.rows(f"UPDATE {table.name} SET {column.name} = {moved}")  # noqa: S608 - names of ours

    @contextmanager
    def locked(self, database: str = "videovault.db") -> Iterator[None]:
        """Nobody else can write."""
        with closing(self._connection(database)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                holder.execute("ROLLBACK")

    def pause(self, *workers: Worker) -> None:
        """Stop them for a while, at a moment when none of them keeps a database locked."""
        with self.locked(), self.locked("queue.db"):
            for worker in workers:
                worker.pause()

    def until(self, what: Callable[[], object], seconds: float = HANG_SECONDS) -> None:
        """Wait for ``what`` to be true."""
        eventually(what, lambda: f"it did not happen; the app said:\n{self._said()}", seconds)

    def wait_for(self, video_id: str, status: str) -> dict[str, Any]:
        with suppress(AssertionError):
            self.until(lambda: self.row(video_id)["status"] == status)
        row = self.row(video_id)
        assert row["status"] == status, f"{row['status']}: {row['error_message']}\n{self._said()}"
        return row

    def _connection(self, database: str) -> sqlite3.Connection:
        return sqlite3.connect(self.data_dir / database, isolation_level=None, timeout=HANG_SECONDS)

    def _said(self) -> str:
        logs = sorted(self.data_dir.glob("*.log"), key=lambda log: log.stat().st_mtime)
        return "\n".join(f"{log.name}:\n{log.read_text(errors='replace')[-2000:]}" for log in logs[-3:])


@dataclass(frozen=True)
class Person:
    """Somebody with an account and a program of their own."""

    api: httpx.Client
    email: str
    user_id: str

    def write_script(self, topic: str) -> httpx.Response:
        """Ask for a script."""
        brief = {"topic": topic, "avatar": "Anna", "email": self.email}
        return self.api.post("/api/auth/create-video", json=brief)

    def generate(self) -> httpx.Response:
        """Ask for a video by a script."""
        script = {"hook": "Look", "body": "It is a thing.", "conclusion": "Buy it.", "avatar": "Anna"}
        return self.api.post(
            "/api/auth/create-video/generate-video",
            json=script | {"email": self.email},
            headers={"Prefer": "respond-async"},
        )

    def store(self, url: str) -> str:
        """Ask for what is at ``url``; the video's id."""
        body = {"videoUrl": url, "userEmail": self.email}
        return video_id_of(
            self.api.post("/api/auth/video/download", json=body, headers={"Prefer": "respond-async"})
        )

    def delete(self, video_id: str) -> httpx.Response:
        body = {"userId": self.user_id, "videoId": video_id}
        return self.api.request("DELETE", "/api/auth/video/delete", json=body)

    def seen(self, video_id: str) -> dict[str, Any]:
        """The video as its owner sees it."""
        seen: dict[str, Any] = self.api.get(f"/api/auth/video/{video_id}").json()["data"]
        return seen

    def retry(self, video_id: str) -> None:
        self.api.post(f"/api/auth/video/{video_id}/retry").raise_for_status()


def video_id_of(answer: httpx.Response) -> str:
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["data"]["videoId"])
