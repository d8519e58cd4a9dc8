"""Processes that start together: one migrates, the others wait for it, and none fails."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.app import ROOT, free_port, running_app
from tests.support.keys import ONE_KEY
from tests.support.postgres import KINDS
from tests.support.waiting import HANG_SECONDS, eventually
from videovault import postgres

pytestmark = [pytest.mark.cluster, pytest.mark.process]
AT_ONCE = 20


def command(name: str, folder: Path, **settings: str) -> subprocess.Popen[str]:
    own = {"DATA_DIR": str(folder), "PORT": str(free_port()), "PYTHONPATH": str(ROOT), "SECRET_KEY": ONE_KEY}
    return subprocess.Popen(
        [sys.executable, "-m", "videovault", name],
        cwd=ROOT,
        env={**os.environ, **own, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_twenty_migrations_at_once_all_succeed(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = {}
    if kind == "PostgreSQL":
        url = request.getfixturevalue("postgres_url")
        settings = {"DATABASE_URL": url, "QUEUE_URL": url.replace("+psycopg", "")}
    begun = [command("migrate", tmp_path / "var", **settings) for _ in range(AT_ONCE)]
    ends = [(process.communicate(timeout=HANG_SECONDS)[1], process.returncode) for process in begun]
    assert [status for _, status in ends] == [0] * AT_ONCE, ends
    if settings:
        assert postgres.queue_problem(settings["QUEUE_URL"]) == ""


def test_app_and_workers_wait_for_a_migration_that_another_process_makes(
    tmp_path: Path, postgres_url: str
) -> None:
    """The app would wait too, as MIGRATE=off; it starts once `migrate` has run."""
    settings = {
        "DATABASE_URL": postgres_url,
        "QUEUE_URL": postgres_url.replace("+psycopg", ""),
        "AWS_S3_BUCKET_NAME": "films",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "VIDEO_WEBHOOK_URL": "http://127.0.0.1:1/video",
        "START_WAIT_SECONDS": str(HANG_SECONDS),
    }
    worker = command("worker", tmp_path / "worker", **settings)
    try:
        assert worker.stderr
        assert "needs" in waiting_line(worker)
        with psycopg.connect(settings["QUEUE_URL"]) as connection:
            assert connection.execute("SELECT to_regclass('videos')").fetchone() == (None,)
        migrating = command("migrate", tmp_path / "migrate", **settings)
        with running_app(tmp_path / "app", **settings, SECRET_KEY=ONE_KEY, MIGRATE="off", WORKERS="0") as app:
            migrating.communicate(timeout=HANG_SECONDS)
            assert migrating.returncode == 0
            assert app.process.poll() is None
            eventually(lambda: registered(settings["QUEUE_URL"]) == 1)
    finally:
        worker.terminate()
        worker.communicate(timeout=HANG_SECONDS)
    assert worker.returncode == 0


def waiting_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr
    return next(line for line in process.stderr if "waiting to start" in line)


def registered(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM workers").fetchone()
        return int(row[0]) if row else 0
