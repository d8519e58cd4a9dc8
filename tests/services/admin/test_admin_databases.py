"""The admin's queries return the same results on SQLite and PostgreSQL."""

from datetime import timedelta

import pytest

from videovault.clock import utcnow
from videovault.db import transaction
from videovault.models import Event, Status
from videovault.services.admin import audit_log, checks, statistics, users, videos
from videovault.services.admin.audit_log import EVENT_GROUPS, AuditLogQuery
from videovault.services.admin.videos import SORTED_BY, VideosQuery
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.transfer import lease

pytestmark = pytest.mark.usefixtures("database")
LARGE = 3 * 1024**3


def test_both_databases_return_the_same_results(anna: Caller) -> None:
    with transaction() as session:
        for status in (Status.READY, Status.QUEUED, Status.FAILED):
            video = lifecycle.new_video(
                anna.user_id, status, f"A 100% {status}", size=LARGE, queued_at=utcnow()
            )
            session.add(video)
        session.add(Event(kind="stored", detail={"size": LARGE}))
        session.add(Event(kind="status", video_id=video.id, detail={"to": "failed", "why": "It broke."}))
    for column in SORTED_BY:
        found = videos.find_videos(anna, VideosQuery(sort=column, q="100%", limit=2))
        assert (len(found.videos), found.total_count, found.total_bytes) == (2, 3, LARGE)
    assert len(videos.select_videos(anna, VideosQuery(status="failed"))) == 1
    assert users.find_users(anna, q="ANNA", limit=1).people[0].storage_bytes == LARGE
    stats = statistics.stats(anna, "Asia/Tokyo")
    assert (stats.days[-1].videos, stats.days[-1].bytes, stats.bytes) == (1, LARGE, LARGE)
    for group in EVENT_GROUPS:
        audit_log.list_entries(
            anna, AuditLogQuery(group=group, person="anna", since=utcnow() - timedelta(days=1))
        )
    assert audit_log.list_entries(anna, AuditLogQuery(group="results")).entries[0].title == "A 100% failed"


def test_both_databases_list_workers_and_the_queue(anna: Caller) -> None:
    here = lease.WorkerRegistration(2)
    here.beat()
    here.beat()
    assert [worker.at_once for worker in lease.list_workers()[0]] == [2]
    lease.purge()
    assert checks.check_workers().state == "ok"
    here.deregister()
    assert lease.list_workers() == ([], [])
    with transaction() as session:
        at = utcnow() - timedelta(hours=3)
        session.add(lifecycle.new_video(anna.user_id, Status.QUEUED, "Bread", queued_at=at))
    assert "3 hours" in checks.check_queue(1).found
    assert checks.check_failures().state == "ok"
    assert checks.check_database().state in ("ok", "warning")
