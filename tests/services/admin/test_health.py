"""Looks at the parts of the installation: shared by all who ask, really written, and never piling up."""

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
NOTHING_ELSE: dict[str, health.Check] = {}


def found() -> dict[str, str]:
    return {name: said.result(PATIENCE_SECONDS) for name, said in health.start(NOTHING_ELSE).items()}


def test_all_who_ask_meanwhile_get_the_outcome_of_one_run() -> None:
    runs: SharedRun[int] = SharedRun("part")
    go_on, looks = threading.Event(), iter(range(10))

    def look() -> int:
        go_on.wait(PATIENCE_SECONDS)
        return next(looks)

    asked = [runs.ask(look) for _ in range(5)]
    go_on.set()
    assert [outcome.result(PATIENCE_SECONDS) for outcome in asked] == [0] * 5
    assert runs.ask(look).result(PATIENCE_SECONDS) == 1


def test_an_outcome_is_good_for_a_while_even_a_bad_one() -> None:
    runs: SharedRun[int] = SharedRun("part", seconds=3600)
    looks = iter(range(10))

    def look() -> int:
        raise ValueError(next(looks))

    outcomes: list[Future[int]] = [runs.ask(look) for _ in range(3)]
    assert {str(outcome.exception(PATIENCE_SECONDS)) for outcome in outcomes} == {"0"}


def test_whoever_gives_up_waiting_takes_it_from_nobody() -> None:
    runs: SharedRun[int] = SharedRun("part")
    go_on = threading.Event()
    first = runs.ask(lambda: int(go_on.wait(PATIENCE_SECONDS)))
    assert not first.cancel()
    go_on.set()
    assert first.result(PATIENCE_SECONDS) == 1


def test_a_part_that_hangs_holds_one_thread_however_many_ask(configure: Configure) -> None:
    with FullListener() as port:
        configure(
            AWS_S3_BUCKET_NAME="videos",
            AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{port}",
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
        )
        for _ in range(50):
            health.start(NOTHING_ELSE)
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


def test_a_database_that_can_only_be_read_is_named(moto_s3: Storage) -> None:
    del moto_s3
    with db.engine().begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE UPDATE ON health_checks BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    assert [name for name, said in found().items() if said != health.OK] == ["database"]


def test_a_data_dir_that_takes_no_file_is_named(
    moto_s3: Storage, configure: Configure, installation: Path
) -> None:
    del moto_s3
    (installation / "file").write_text("no folder")
    configure(DATA_DIR=installation / "file", DATABASE_URL=f"sqlite:///{installation}/var/videovault.db")
    assert [name for name, said in found().items() if said != health.OK] == ["disk"]


def test_looking_leaves_no_file_behind(moto_s3: Storage, installation: Path) -> None:
    del moto_s3
    found()
    assert list((installation / "var").glob(".readyz*")) == []


@pytest.mark.usefixtures("moto_s3")
def test_readyz_looks_once_for_all_who_ask_within_seconds(client: httpx.Client) -> None:
    with db.engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE looks (at TEXT)")
        connection.exec_driver_sql(
            "CREATE TRIGGER note AFTER UPDATE ON health_checks BEGIN INSERT INTO looks VALUES ('now'); END"
        )
    health.shared_runs()["database"] = SharedRun("database", seconds=3600)
    assert {client.get("/readyz").status_code for _ in range(10)} == {200}
    with db.engine().begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM looks").scalar_one() == 1


def test_admins_who_ask_at_once_share_one_run_of_a_check(anna: Caller, configure: Configure) -> None:
    with FullListener() as port:
        configure(SCRIPT_WEBHOOK_URL=f"http://127.0.0.1:{port}/script")
        asked = [checks.begun(anna, "script-webhook", jobs_waiting=lambda: 0) for _ in range(20)]
        assert len(set(asked)) == 1
    assert asked[0].result(PATIENCE_SECONDS).state == "broken"  # refused, now that nothing listens there
