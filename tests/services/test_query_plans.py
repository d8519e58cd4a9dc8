"""Lists and periodic work read what is shown or due: no full scan of a large table, and no sort of more than a page.

SQLite plans by the indexes alone. PostgreSQL plans by the size of the tables, so there are many rows; tests/cluster has a
million of them on both.
"""

import pytest

from benchmarks import seeding
from tests.support.installation import Configure
from tests.support.query_plans import expensive
from tests.support.routine_queries import lists, periodic
from tests.support.statements import executions
from tests.support.videos import ignore_job, insert_video, set_columns
from videovault import db
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.gateways.storage import Storage
from videovault.models import Status, Video
from videovault.services.core.access import Caller
from videovault.services.videos import gallery

pytestmark = pytest.mark.usefixtures("installation")
OWNERS, VIDEOS, EVENTS = 20, 2_000, 40_000
FILLED = ("videos", "events", "deliveries")


@pytest.fixture
def videos(anna: Caller, bert: Caller) -> None:
    """Two videos in each state, so that each list has a second page of one."""
    for owner in (anna, bert):
        for status in (*Status, *Status):
            insert_video(owner, status)


@pytest.mark.usefixtures("videos")
def test_every_list_costs_a_page(anna: Caller) -> None:
    admin = Caller(anna.user_id, anna.email, is_admin=True)
    found = {name: expensive(act) for name, act in lists(admin, page=1, statuses=(None, "failed")).items()}
    assert not {name: list(map(str, findings)) for name, findings in found.items() if findings}


@pytest.mark.usefixtures("videos")
def test_periodic_work_costs_what_is_due(moto_s3: Storage) -> None:
    del moto_s3
    found = {name: expensive(act) for name, act in periodic()}
    assert not {name: list(map(str, findings)) for name, findings in found.items() if findings}


@pytest.mark.postgres
@pytest.mark.thorough
def test_postgresql_reads_what_is_shown_or_due(
    postgres_url: str, configure: Configure, moto_s3: Storage
) -> None:
    del moto_s3
    configure(DATABASE_URL=postgres_url)
    db.migrate()
    user_id, *_ = seeding.seed(OWNERS, VIDEOS, EVENTS)
    admin = Caller(user_id, "person1@example.com", is_admin=True)
    found = {
        name: expensive(act, filled=FILLED) for name, act in (lists(admin, page=1) | dict(periodic())).items()
    }
    assert not {name: list(map(str, findings)) for name, findings in found.items() if findings}


@pytest.mark.parametrize(
    "link", ["https://example.com/a.mp4", "https://s3.example.com/videos/{owner}/{video}/1_a.mp4"]
)
def test_a_known_url_is_found_without_reading_the_videos_of_its_owner(anna: Caller, link: str) -> None:
    video_id = insert_video(anna, Status.READY, requested_at=utcnow())
    url = link.format(owner=anna.user_id, video=video_id)
    set_columns(
        video_id, source_url="https://example.com/a.mp4", s3_key=f"videos/{anna.user_id}/{video_id}/1_a.mp4"
    )
    with executions() as executed:
        found = gallery.store_link(anna, url, anna.email, enqueue=ignore_job)
    assert found.video_id == video_id
    with db.engine().connect() as connection:
        plans = [
            connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()[0][3]
            for statement, parameters in executed
            if "videos.owner_id = ?" in statement
        ]
    assert plans
    for plan in plans:
        assert "(owner_id=? AND <expr>=?)" in plan or "(owner_id=? AND s3_key=?)" in plan


def test_a_scan_and_a_sort_would_be_noticed() -> None:
    """A control: otherwise the tests above prove nothing."""

    def scan() -> None:
        with transaction() as session:
            session.exec(Video.__table__.select().where(Video.license == "x"))  # type: ignore[attr-defined]

    def sort() -> None:
        with transaction() as session:
            session.exec(
                Video.__table__.select().where(Video.owner_id == "x").order_by(Video.hook)  # type: ignore[attr-defined]
            )

    assert "full scan of videos" in str(expensive(scan)[0])
    assert "sort" in str(expensive(sort)[0])
