"""The checks of everything except the S3: each tries the real part, has a deadline, and gives advice."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from sqlmodel import update

from tests.services.admin.checks.conftest import Check
from tests.support.app import free_port
from tests.support.installation import Configure
from tests.support.listeners import FullListener, RawAnswer
from tests.support.mail_server import mail_server
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from videovault import db
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.errors import Forbidden, NotFound
from videovault.gateways import http_check
from videovault.gateways.storage import Description, Storage
from videovault.models import CopyState, Status, Video, Worker
from videovault.services.admin import checks
from videovault.services.admin.checks import object_store
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.transfer import lease


def test_checks_are_for_admins_only(bert: Caller) -> None:
    with pytest.raises(Forbidden):
        checks.start(bert, "database", jobs_waiting=lambda: 0).result()
    with pytest.raises(Forbidden):
        checks.start_browser_check(bert)
    with pytest.raises(Forbidden):
        checks.finish_browser_check(bert, "videovault-checks/x")


def test_unknown_check_names_are_not_found(check: Check) -> None:
    with pytest.raises(NotFound):
        check("nothing")


def test_every_check_of_a_new_installation_has_a_result(check: Check, own_embedded_s3: Storage) -> None:
    del own_embedded_s3
    found = {name: check(name).state for name in checks.applicable()}
    assert set(found.values()) <= {"ok", "warning", "broken"}
    assert {name for name, state in found.items() if state == "broken"} == {
        "workers",  # none was started here
        "callback",  # nor a server
        *("script-webhook", "video-webhook"),  # nor the embedded studio
    }


def test_the_disk_is_checked_only_if_it_holds_the_videos(moto_s3: Storage) -> None:
    del moto_s3
    assert "disk" not in checks.applicable()


def test_a_full_disk_is_noticed(check: Check, configure: Configure) -> None:
    assert check("disk").state in ("ok", "warning")
    configure(MAX_VIDEO_BYTES=10**18)
    assert check("disk").state in ("warning", "broken")
    assert "DATA_DIR" in check("disk").advice


def test_a_hanging_part_fails_after_the_deadline(
    check: Check, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "DEADLINE_SECONDS", 0.3)
    with FullListener() as port:
        configure(SCRIPT_WEBHOOK_URL=f"http://127.0.0.1:{port}/script")
        found = check("script-webhook")
    assert (found.state, found.found) == ("broken", "No answer within 0.3 seconds.")
    assert "SCRIPT_WEBHOOK_URL" in found.advice


def test_a_database_of_an_older_version_is_noticed(check: Check) -> None:
    assert check("database").state == "ok"
    with db.engine().begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    assert check("database").state == "broken"
    assert "migrate" in check("database").advice


def test_the_queue_check_has_the_length_and_the_longest_wait(check: Check, anna: Caller) -> None:
    assert check("queue").found == "Nothing is waiting."
    with transaction() as session:
        since = utcnow() - timedelta(minutes=30)
        session.add(lifecycle.new_video(anna.user_id, Status.QUEUED, "Bread", queued_at=since))
    found = check("queue")
    assert (found.state, found.found) == ("warning", "1 waiting (3 handed out), the longest for 30 minutes.")
    assert "worker" in found.advice


def test_an_unreachable_queue_is_broken(anna: Caller) -> None:
    def unreachable() -> int:
        raise ConnectionError("nobody at queue.example")

    found = checks.start(anna, "queue", jobs_waiting=unreachable).result()
    assert found.state == "broken"
    assert "queue.example" not in found.found
    assert "QUEUE_URL" in found.advice


def test_a_hanging_worker_is_shown_next_to_working_ones(check: Check) -> None:
    lease.WorkerRegistration(4).beat()
    with transaction() as session:
        session.exec(update(Worker).values(seen_at=utcnow() - timedelta(seconds=30)))
    lease.WorkerRegistration(2).beat()
    found = check("workers")
    assert found.state == "warning"
    assert "2 transfers at once. Not heard of for 30 seconds: 1, on" in found.found
    assert "hangs or was killed" in found.advice
    with transaction() as session:
        lost = update(Worker).where(Worker.at_once == 4)  # type: ignore[arg-type] # a column
        session.exec(lost.values(seen_at=utcnow() - timedelta(hours=1)))
    assert check("workers").state == "ok"


def test_silent_workers_count_as_dead(check: Check) -> None:
    assert check("workers").found == "No worker is alive: nothing is made or stored."
    here = lease.WorkerRegistration(4)
    here.beat()
    assert check("workers").state == "ok"
    assert "4 transfers" in check("workers").found
    with transaction() as session:
        session.exec(update(Worker).values(seen_at=utcnow() - timedelta(minutes=3)))
    assert check("workers").found == "No worker is alive. The last heartbeat was 3 minutes ago."
    here.beat()
    here.deregister()
    assert "is alive: nothing" in check("workers").found


@contextmanager
def answering(status: int = 200) -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as server:
        server.serve("/hook", ServerBehaviour(status=status, body=b"{}"))
        yield server


@pytest.mark.parametrize(("name", "setting"), [("script-webhook", "SCRIPT"), ("video-webhook", "VIDEO")])
def test_a_webhook_is_checked_without_a_render(
    check: Check, configure: Configure, name: str, setting: str
) -> None:
    """A server that knows only GET answers 501 to OPTIONS: it is there, and nothing was posted to it."""
    with answering() as server:
        configure(**{f"{setting}_WEBHOOK_URL": f"{server.origin}/hook"})
        assert check(name).state == "ok"
        assert server.seen("/hook") == []
    configure(**{f"{setting}_WEBHOOK_URL": ""})
    assert check(name).found.startswith("None is set")
    configure(**{f"{setting}_WEBHOOK_URL": f"http://127.0.0.1:{free_port()}/hook"})
    assert check(name).found == "It refuses connections, or cannot be reached."
    configure(**{f"{setting}_WEBHOOK_URL": "http://nowhere.invalid/hook"})
    assert (check(name).state, setting in check(name).advice) == ("broken", True)


def test_a_webhook_that_responds_is_ok(check: Check, configure: Configure) -> None:
    with RawAnswer(b"HTTP/1.1 204 No Content\r\n\r\n", at_once=True) as port:
        configure(VIDEO_WEBHOOK_URL=f"http://127.0.0.1:{port}/hook")
        found = check("video-webhook")
    assert (found.state, found.advice) == ("ok", "")


def test_a_webhook_with_server_errors_is_a_warning(check: Check, configure: Configure) -> None:
    with RawAnswer(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", at_once=True) as port:
        configure(VIDEO_WEBHOOK_URL=f"http://127.0.0.1:{port}/hook")
        found = check("video-webhook")
    assert (found.state, "VIDEO_WEBHOOK_URL" in found.advice) == ("warning", True)


def test_a_webhook_that_never_responds_is_reported_in_time(
    check: Check, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_check, "TIMEOUT", httpx.Timeout(0.3))
    with RawAnswer(b"") as port:
        configure(VIDEO_WEBHOOK_URL=f"http://127.0.0.1:{port}/hook")
        found = check("video-webhook")
    assert (found.state, found.found) == ("broken", "It did not answer within 0.3 seconds.")
    assert "VIDEO_WEBHOOK_URL" in found.advice


def test_the_callback_url_must_lead_to_this_server(check: Check, configure: Configure) -> None:
    with answering() as server:
        configure(PUBLIC_URL=server.origin)
        server.serve("/healthz", ServerBehaviour(body=b"<h1>It works!</h1>"))
        assert "Something other than VideoVault" in check("callback").found
        server.serve("/healthz", ServerBehaviour(body=b'{"status": "ok"}'))
        assert check("callback").state == "ok"
    configure(PUBLIC_URL=f"https://127.0.0.1:{free_port()}")
    assert (check("callback").state, "PUBLIC_URL" in check("callback").advice) == ("broken", True)


def test_the_mail_server_is_checked_without_sending_mail(check: Check, configure: Configure) -> None:
    assert check("mail").found.startswith("None is set")
    with mail_server() as server:
        configure(SMTP_URL=f"smtp://127.0.0.1:{server.port}", MAIL_FROM="videos@example.com")
        assert check("mail").state == "ok"
        assert server.letters == []
    found = check("mail")
    assert (found.state, "SMTP_URL" in found.advice) == ("broken", True)


@pytest.mark.parametrize(
    ("code", "trouble"),
    [("SOURCE_FAILED", "Download Failures"), ("OBJECT_MISSING", "Missing Videos"), ("WEBHOOK_FAILED", "")],
)
def test_recent_failures_get_the_guides_advice(check: Check, anna: Caller, code: str, trouble: str) -> None:
    assert check("failures").state == "ok"
    with transaction() as session:
        session.add(lifecycle.new_video(anna.user_id, Status.FAILED, "Bread", error_code=code))
    assert (check("failures").state, check("failures").problem) == ("warning", trouble)
    assert check("failures").advice
    with transaction() as session:
        session.exec(update(Video).values(updated_at=utcnow() - timedelta(days=2)))
    assert check("failures").state == "ok"


def test_playable_copies_are_counted(check: Check, anna: Caller, configure: Configure) -> None:
    assert check("copies").found == "Made: 0. Being made: 0. Waiting: 0."
    with transaction() as session:
        for state in (CopyState.DUE, CopyState.DUE, CopyState.READY, None):
            session.add(lifecycle.new_video(anna.user_id, Status.READY, "Bread", copy_state=state))
    assert (check("copies").state, check("copies").found) == ("ok", "Made: 1. Being made: 0. Waiting: 2.")
    with transaction() as session:
        session.add(lifecycle.new_video(anna.user_id, Status.READY, "Bread", copy_state=CopyState.FAILED))
    found = check("copies")
    assert (found.state, found.found.endswith("Could not be made: 1.")) == ("warning", True)
    configure(PLAYABLE_COPIES="off")
    assert (check("copies").state, "PLAYABLE_COPIES" in check("copies").found) == ("ok", True)


def test_cancelled_videos_do_not_count_as_failed(check: Check, anna: Caller) -> None:
    with transaction() as session:
        session.add(lifecycle.new_video(anna.user_id, Status.FAILED, "Bread", error_code="CANCELLED"))
    assert check("failures").state == "ok"


def test_the_browsers_picture_is_stored_and_deleted(anna: Caller, moto_s3: Storage) -> None:
    probe = checks.start_browser_check(anna)
    assert list(moto_s3.keys(object_store.PREFIX)) == [probe.key]
    moto_s3.put("videos/other", b"x", Description("text/plain"))
    checks.finish_browser_check(anna, "videos/other")
    checks.finish_browser_check(anna, probe.key)
    assert list(moto_s3.keys()) == ["videos/other"]
    assert checks.browser_result(arrived=True).state == "ok"
    assert "S3_PUBLIC_ENDPOINT_URL" in checks.browser_result(arrived=False).advice


def test_dead_workers_are_purged_after_a_day(check: Check) -> None:
    lease.WorkerRegistration(1).beat()
    with transaction() as session:
        session.exec(update(Worker).values(seen_at=utcnow() - timedelta(days=2)))
    lease.purge()
    assert lease.list_workers() == ([], [])
    assert check("workers").state == "broken"


def test_source_headers_are_listed_by_name_only(check: Check, configure: Configure) -> None:
    with MisbehavingServer() as server:
        url = server.serve("/hook", ServerBehaviour(size=10))
        configure(
            SCRIPT_WEBHOOK_URL=url,
            WEBHOOK_HEADERS='{"X-Api-Key": "my-generator-key"}',
            SOURCE_HEADERS='{"files.example.com": {"X-Source-Key": "my-source-key"}, "b.example:8443": {"X-B": "b"}}',
        )
        found = check("script-webhook").found + check("source-headers").found
    assert "Orders carry these headers: X-Api-Key." in found
    assert "Sent to these hosts only: files.example.com: X-Source-Key; b.example:8443: X-B." in found
    assert not {"my-generator-key", "my-source-key"} & set(found.split())
    assert "X-Api-Key" not in check("notify-webhook").found


def test_the_generators_callback_host_is_the_one_checked(check: Check, configure: Configure) -> None:
    with MisbehavingServer() as server:
        server.serve("/healthz", ServerBehaviour(body=b'{"status": "ok"}', content_type="application/json"))
        configure(PUBLIC_URL="https://videos.example.invalid", CALLBACK_URL=server.origin)
        assert (check("callback").state, check("callback").found) == ("ok", f"{server.origin} leads here.")
    assert "CALLBACK_URL" in check("callback").advice
