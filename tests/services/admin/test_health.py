"""Health checks are shared by simultaneous callers, really write, and never pile up."""

import threading
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest

from tests.support.installation import Configure
from tests.support.listeners import FullListener
from videovault import db
from videovault.db import reading
from videovault.gateways.storage import Storage
from videovault.models import HealthCheck
from videovault.services.admin import checks, health
from videovault.services.admin.health import SharedRun
from videovault.services.core.access import Caller

PATIENCE_SECONDS = 30
NO_OTHERS: dict[str, health.Check] = {}


def found() -> dict[str, str]:
    return {name: result.result(PATIENCE_SECONDS) for name, result in health.start(NO_OTHERS).items()}


def test_simultaneous_callers_share_one_run() -> None:
    runs: SharedRun[int] = SharedRun("part")
    proceed, looks = threading.Event(), iter(range(10))

    def check() -> int:
        proceed.wait(PATIENCE_SECONDS)
        return next(looks)

    futures = [runs.start(check) for _ in range(5)]
    proceed.set()
    assert [outcome.result(PATIENCE_SECONDS) for outcome in futures] == [0] * 5
    assert runs.start(check).result(PATIENCE_SECONDS) == 1


def test_an_outcome_is_cached_even_a_failure() -> None:
    runs: SharedRun[int] = SharedRun("part", seconds=3600)
    looks = iter(range(10))

    def check() -> int:
        raise ValueError(next(looks))

    outcomes: list[Future[int]] = [runs.start(check) for _ in range(3)]
    assert {str(outcome.exception(PATIENCE_SECONDS)) for outcome in outcomes} == {"0"}


def test_a_caller_that_gives_up_does_not_cancel_the_run() -> None:
    runs: SharedRun[int] = SharedRun("part")
    proceed = threading.Event()
    first = runs.start(lambda: int(proceed.wait(PATIENCE_SECONDS)))
    assert not first.cancel()
    proceed.set()
    assert first.result(PATIENCE_SECONDS) == 1


def test_a_hanging_part_blocks_one_thread_for_any_number_of_callers(configure: Configure) -> None:
    with FullListener() as port:
        configure(
            AWS_S3_BUCKET_NAME="videos",
            AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{port}",
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
        )
        for _ in range(50):
            health.start(NO_OTHERS)
        hanging = [thread for thread in threading.enumerate() if thread.name == "health-s3"]
        assert len(hanging) == 1
    hanging[0].join(PATIENCE_SECONDS)


def test_the_database_is_written(moto_s3: Storage) -> None:
    del moto_s3
    assert set(found().values()) == {health.OK}
    with reading() as session:
        row = session.get(HealthCheck, health.WRITTEN_ROW)
    assert row
    assert row.written_at


def test_a_read_only_database_is_reported(moto_s3: Storage) -> None:
    del moto_s3
    with db.engine().begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE UPDATE ON health_checks BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    assert [name for name, result in found().items() if result != health.OK] == ["database"]


def test_an_unwritable_data_dir_is_reported(
    moto_s3: Storage, configure: Configure, installation: Path
) -> None:
    del moto_s3
    (installation / "file").write_text("no folder")
    configure(DATA_DIR=installation / "file", DATABASE_URL=f"sqlite:///{installation}/var/videovault.db")
    assert [name for name, result in found().items() if result != health.OK] == ["disk"]


def test_the_disk_check_leaves_no_file_behind(moto_s3: Storage, installation: Path) -> None:
    del moto_s3
    found()
    assert list((installation / "var").glob(".readyz*")) == []


@pytest.mark.usefixtures("moto_s3")
def test_readyz_checks_once_for_callers_within_seconds(client: httpx.Client) -> None:
    with db.engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE looks (at TEXT)")
        connection.exec_driver_sql(
            "CREATE TRIGGER note AFTER UPDATE ON health_checks BEGIN INSERT INTO looks VALUES ('now'); END"
        )
    health.shared_runs()["database"] = SharedRun("database", seconds=3600)
    assert {client.get("/readyz").status_code for _ in range(10)} == {200}
    with db.engine().begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM looks").scalar_one() == 1


def test_simultaneous_admins_share_one_run_of_a_check(anna: Caller, configure: Configure) -> None:
    with FullListener() as port:
        configure(SCRIPT_WEBHOOK_URL=f"http://127.0.0.1:{port}/script")
        futures = [checks.start(anna, "script-webhook", jobs_waiting=lambda: 0) for _ in range(20)]
        assert len(set(futures)) == 1
    assert futures[0].result(PATIENCE_SECONDS).state == "broken"  # refused, now that nothing listens there
