"""The gauges that the rows give, on both databases."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.support.installation import Configure
from tests.support.statements import statements
from videovault import metrics
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.models import CopyState, Status, User
from videovault.services.admin import statistics as gauges
from videovault.services.core import lifecycle
from videovault.services.transfer import lease

AGES = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}


def add(status: Status, age: timedelta = timedelta(), **columns: object) -> None:
    with transaction() as session:
        owner = session.get(User, "ada") or User(id="ada", email="ada@example.com", password_hash="")
        session.add(owner)
        session.flush()
        video = lifecycle.new_video("ada", status, "A film", queued_at=utcnow() - age, **columns)
        session.add(video)


@pytest.mark.usefixtures("database")
def test_the_rows_give_age_and_stage_of_the_work() -> None:
    add(Status.GENERATING, AGES["minute"])
    add(Status.GENERATING, AGES["hour"], requested_at=utcnow())
    add(Status.QUEUED, AGES["minute"])
    add(Status.QUEUED, AGES["hour"], next_fetch_at=utcnow() + AGES["hour"])
    add(Status.STORING)
    add(Status.READY, copy_state=CopyState.DUE)
    add(Status.READY)
    lease.WorkerRegistration(4).beat()
    found = gauges.installation()
    assert found[metrics.WORK] == {
        "unordered": 1,
        "generating": 1,
        "queued": 2,
        "storing": 1,
        "deleting": 0,
        "copying": 1,
    }
    assert found[metrics.OLDEST_QUEUED] == pytest.approx(60, abs=30)
    assert found[metrics.OLDEST_UNORDERED] == pytest.approx(60, abs=30)
    assert (found[metrics.WORKERS_ALIVE], found[metrics.DATABASE_UP]) == (1, 1)


@pytest.mark.usefixtures("database")
def test_without_work_the_ages_are_zero() -> None:
    found = gauges.installation()
    assert (found[metrics.OLDEST_QUEUED], found[metrics.OLDEST_UNORDERED]) == (0, 0)
    assert found[metrics.WORKERS_ALIVE] == 0


@pytest.mark.usefixtures("installation")
def test_scrapes_of_some_seconds_share_one_reading() -> None:
    gauges.installation()
    with statements() as executed:
        gauges.installation()
    assert executed == []


@pytest.mark.usefixtures("installation")
def test_the_reading_scans_no_table_of_videos() -> None:
    with statements() as executed:
        gauges.installation()
    (query,) = [each for each in executed if "queued_at" in each]
    with reading() as session:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", (" ",) * query.count("?"))
        steps = [row[-1] for row in plan]
    assert [step for step in steps if "videos" in step]
    assert not [step for step in steps if "videos" in step and "SCAN" in step and "INDEX" not in step]


@pytest.mark.usefixtures("installation")
def test_a_broken_database_is_a_value_and_no_error(configure: Configure) -> None:
    configure(DATABASE_URL="sqlite:///empty.db")
    assert gauges.installation() == {metrics.DATABASE_UP: 0}


@pytest.mark.usefixtures("installation")
def test_a_hanging_database_delays_a_scrape_by_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(gauges, "TIMEOUT_SECONDS", 0.01)

    def hang() -> dict[metrics.Gauge, metrics.Reading]:
        answered.wait()
        return {}

    gauges.shared_run().start(hang)
    assert gauges.installation() == {metrics.DATABASE_UP: 0}
    answered.set()


@pytest.mark.usefixtures("database")
def test_connections_in_use_are_counted() -> None:
    with reading() as session:
        session.execute(text("SELECT 1"))
        used = gauges.connections()
    assert used[metrics.POOL] == {"in_use": 1, "idle": 0, "overflow": 0}
    assert used[metrics.POOL_SIZE] == 15
    assert gauges.connections()[metrics.POOL] == {"in_use": 0, "idle": 1, "overflow": 0}
