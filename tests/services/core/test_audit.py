"""The audit log is bounded whatever clients do, every kind of event expires, and every action leaves an entry."""

import ast
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select

import videovault
from tests.services.conftest import Row
from tests.support.installation import Configure
from videovault import logs
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.gateways.storage import Storage
from videovault.models import Event, Status, Video, WebhookCall
from videovault.services import sharing
from videovault.services.accounts import accounts, passwords, tokens
from videovault.services.admin import audit_log, rescue, users
from videovault.services.admin.audit_log import AuditEntryView, AuditLogQuery
from videovault.services.core import audit, lifecycle
from videovault.services.core.access import Caller
from videovault.services.core.audit import (
    DEFAULT_RETENTION,
    INTEGRITY_KINDS,
    RETENTION,
    Retention,
)
from videovault.services.maintenance import reconcile, repair
from videovault.services.transfer import pipeline
from videovault.services.videos import gallery

pytestmark = pytest.mark.thorough

EVERY = [
    *RETENTION,
    Retention(("renamed", "delete", "stored", "status"), DEFAULT_RETENTION.days, DEFAULT_RETENTION.rows),
]
ROOT = Path(videovault.__file__).parent


def kept(kind: str) -> list[Event]:
    with reading() as session:
        return list(session.exec(select(Event).where(Event.kind == kind).order_by(col(Event.id))))


def wrong_sign_ins(email: str, addresses: Iterable[str]) -> None:
    for address in addresses:
        with logs.context(client_ip=address), pytest.raises(Exception, match="wrong"):
            accounts.login(email, "wrong horse")


def test_failed_sign_ins_are_one_row_for_each_account_address_and_hour(anna: Caller) -> None:
    wrong_sign_ins("anna@example.com", ["203.0.113.7"] * 20)
    wrong_sign_ins("anna@example.com", ["2001:db8:0:1::5", "2001:db8:0:1::6"])  # one household
    for number in range(5):
        wrong_sign_ins(f"unknown{number}@example.com", ["203.0.113.7"])
    seen = [(event.actor_id, event.client_ip, event.times) for event in kept("login_failed")]
    assert seen == [
        (anna.user_id, "203.0.113.7", 20),
        (anna.user_id, "2001:db8:0:1::5", 2),
        (None, "203.0.113.7", 5),
    ]
    assert all(event.last_at for event in kept("login_failed"))


def test_each_hour_has_its_own_row(anna: Caller) -> None:
    wrong_sign_ins("anna@example.com", ["203.0.113.7"])
    with transaction() as session:
        [early] = session.exec(select(Event).where(Event.kind == "login_failed"))
        early.at -= timedelta(hours=1)
        early.tally_key = audit._key(
            "login_failed",
            utcnow().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1),
            anna.user_id,
        )
    wrong_sign_ins("anna@example.com", ["203.0.113.7"])
    assert [event.times for event in kept("login_failed")] == [1, 1]


@pytest.mark.usefixtures("database")
def test_rows_per_hour_are_bounded_for_any_number_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MAX_ROWS_PER_HOUR", 20)
    with transaction() as session:
        for number in range(30):
            audit.record_hourly(session, "login_failed", client_ip=f"10.1.1.{number}")
    rows = kept("login_failed")
    assert [event.times for event in rows] == [1] * 20 + [10]
    assert rows[-1].client_ip == ""


@pytest.mark.parametrize("retention", EVERY, ids=lambda retention: retention.kinds[0])
def test_each_kind_is_kept_for_its_days_and_no_longer(anna: Caller, retention: Retention) -> None:
    del anna
    with transaction() as session:
        for kind in retention.kinds:
            for days in (retention.days - 1, retention.days + 1):
                session.add(Event(kind=kind, at=utcnow() - timedelta(days=days)))
    audit.purge()
    for kind in retention.kinds:
        old = [event for event in kept(kind) if event.at < utcnow() - timedelta(hours=1)]
        assert [event.at > utcnow() - timedelta(days=retention.days) for event in old] == [True], kind


def test_a_flood_of_one_kind_displaces_only_its_own_kind(
    anna: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, *others = RETENTION
    monkeypatch.setattr(audit, "RETENTION", (replace(failed, rows=20), *others))
    monkeypatch.setattr(audit, "DELETE_BATCH", 10)
    with transaction() as session:
        session.add(Event(kind="key_read", actor_id=anna.user_id))
        session.add_all(Event(kind="login_failed", tally_key=str(number)) for number in range(45))
    audit.purge()
    assert [event.tally_key for event in kept("login_failed")] == [str(number) for number in range(25, 45)]
    assert len(kept("key_read")) == 1


def test_client_addresses_go_after_ninety_days_and_the_events_stay(anna: Caller) -> None:
    with transaction() as session:
        for days in (89, 91):
            at = utcnow() - timedelta(days=days)
            session.add(Event(kind="login", actor_id=anna.user_id, at=at, client_ip="203.0.113.7"))
    audit.purge()
    assert [event.client_ip for event in kept("login")] == ["203.0.113.7", ""]


def test_integrity_events_are_kept_as_long_as_their_video(anna: Caller) -> None:
    with transaction() as session:
        video = lifecycle.new_video(anna.user_id, Status.READY, "Bread")
        session.add(video)
        session.flush()
        long_ago = utcnow() - timedelta(days=DEFAULT_RETENTION.days + 100)
        for video_id in (video.id, "video_1_gone"):
            for kind in (audit.KEY_REPLACED, audit.TAGGED):
                session.add(Event(kind=kind, video_id=video_id, at=long_ago))
    audit.purge()
    with reading() as session:
        remaining = session.exec(
            select(Event.kind, Event.video_id).where(col(Event.kind).in_(INTEGRITY_KINDS))
        ).all()
    assert remaining == [(audit.TAGGED, video.id)]


def test_the_worker_purges_events(anna: Caller, moto_s3: object) -> None:
    del anna, moto_s3
    with transaction() as session:
        session.add(Event(kind="login_failed", at=utcnow() - timedelta(days=1000)))
    repair.clean_up()
    assert kept("login_failed") == []


def test_reading_a_key_is_recorded_for_admins_but_not_for_owners(anna: Caller, bert: Caller) -> None:
    with transaction() as session:
        video = lifecycle.new_video(bert.user_id, Status.READY, "Bread")
        session.add(video)
    for look in (sharing.get_secret_key, sharing.get_link):
        look(bert, video.id)
    assert kept("key_read") == []
    with logs.context(client_ip="203.0.113.7"):
        for look in (sharing.get_secret_key, sharing.get_link):
            look(anna, video.id)
    [entry] = kept("key_read")
    assert (entry.actor_id, entry.video_id, entry.client_ip, entry.times) == (
        anna.user_id,
        video.id,
        "203.0.113.7",
        2,
    )
    assert entry.detail == {"userId": bert.user_id}


def test_every_recorded_kind_has_a_deliberate_retention() -> None:
    """A new kind of event gets the default retention; its author must decide whether that is right."""
    named = {kind for retention in RETENTION for kind in retention.kinds}
    assert _written() - named - set(INTEGRITY_KINDS) == {
        *("draft", "store_requested", "renamed", "status", "retried", "generation_failed", "metadata"),
        *("stored", "store_failed", "shared", "unshared", "delete", "deleted"),
        *("copy_made", "copy_failed", "copy_retried"),
    }
    assert named <= _written()


def _written() -> set[str]:
    """The kinds in every ``Event(kind=…)`` ``record_hourly(…, kind)`` and ``_audit(…, kind)`` of the product."""
    kinds: set[str] = set()
    constants = {"SHARED": "shared", "UNSHARED": "unshared", "TAGGED": "tagged", "SWAPPED": "object_swapped"}
    constants |= {"KEY_REPLACED": "key_replaced", "REBUILT": "rebuilt", "CHANGED": "installation_changed"}
    for source in (file.read_text() for file in ROOT.rglob("*.py")):
        if not any(call in source for call in ("Event(", "record_hourly(", "_audit(")):
            continue
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func).rpartition(".")[2]
            written = (
                [each.value for each in node.keywords if each.arg == "kind"] if called == "Event" else []
            )
            written += node.args[:2] if called.endswith(("record_hourly", "_audit")) else []
            for value in written:
                if isinstance(value, ast.Constant):
                    kinds.add(str(value.value))
                elif (name := ast.unparse(value).rpartition(".")[2]) in constants:
                    kinds.add(constants[name])
    return kinds


# Every action leaves an entry with actor, kind and time.

ADDRESS = "https://films.example/a.mp4"


def ignored(_video_id: str) -> None:
    """No worker is needed."""


def newest(anna: Caller) -> AuditEntryView:
    return audit_log.list_entries(anna, AuditLogQuery(limit=1)).entries[0]


@pytest.fixture
def put(bert: Caller) -> Callable[..., Video]:
    """A video of Bert's."""

    def make(status: Status, **values: object) -> Video:
        with transaction() as session:
            video = lifecycle.new_video(bert.user_id, status, "Bread", **values)
            session.add(video)
        return video

    return make


def retry(caller: Caller, video: Video) -> None:
    pipeline.retry(caller, video.id, enqueue=ignored)


@pytest.mark.parametrize(
    ("failed", "kind"),
    [
        ({"source_url": ADDRESS}, "retried"),
        ({"hook": "a", "body": "b", "conclusion": "c", "avatar": "Maya"}, "status.generating"),
    ],
)
def test_a_retry_is_recorded_for_owner_and_admin(
    anna: Caller, bert: Caller, put: Callable[..., Video], failed: dict[str, object], kind: str
) -> None:
    for who in (bert, anna):
        retry(who, put(Status.FAILED, **failed))
        entry = newest(anna)
        assert (entry.kind, entry.actor, entry.subject, entry.title) == (kind, who.email, bert.email, "Bread")
        assert utcnow() - entry.at < timedelta(minutes=1)


def test_actions_on_a_video_are_recorded(
    anna: Caller, bert: Caller, put: Callable[..., Video], configure: Configure, moto_s3: Storage
) -> None:
    del moto_s3
    ready, stuck = put(Status.READY, s3_key="videos/x", size=1), put(Status.FAILED)
    gallery.rename(bert, ready.id, "Rolls")
    assert (newest(anna).kind, newest(anna).detail) == ("renamed", {"from": "Bread", "to": "Rolls"})
    sharing.open_link(bert, ready.id)
    assert newest(anna).kind == "shared"
    sharing.rotate_key(bert, ready.id)
    assert newest(anna).kind == "key_replaced"
    sharing.close_link(bert, ready.id)
    assert newest(anna).kind == "unshared"
    pipeline.cancel(bert, put(Status.GENERATING).id)
    assert (newest(anna).kind, newest(anna).by) == ("status.failed", "person")
    configure(SOURCE_ALLOW_HOSTS="127.0.0.1:9")
    rescue.set_video_url(anna, stuck.id, "http://127.0.0.1:9/a.mp4", enqueue=ignored)
    assert (newest(anna).kind, newest(anna).subject) == ("rescued", bert.email)


def test_a_replayed_report_is_recorded(
    anna: Caller, bert: Caller, put: Callable[..., Video], row: Row
) -> None:
    waiting = put(Status.GENERATING)
    report = {"userId": bert.user_id, "videoId": waiting.id, "status": "failed", "error": "No flour"}
    with transaction() as session:
        call = WebhookCall(direction="in", kind="status", verdict="refused", body=json.dumps(report))
        session.add(call)
    rescue.replay(anna, str(call.id), enqueue=ignored)
    assert row(waiting.id).status == Status.FAILED
    assert (newest(anna).kind, newest(anna).actor, newest(anna).subject) == (
        "replayed",
        anna.email,
        bert.email,
    )


@pytest.mark.parametrize("wanted", [{"is_admin": True}, {"is_active": False}, {"quota_bytes": 5}])
def test_account_changes_by_an_admin_are_recorded(
    anna: Caller, bert: Caller, wanted: users.UserChange
) -> None:
    users.change_user(anna, bert.user_id, wanted)
    entry = newest(anna)
    assert (entry.kind, entry.actor, entry.subject) == ("user_changed", anna.email, bert.email)
    assert list(entry.detail.values()) == list(wanted.values())


def test_invitations_reset_links_and_repairs_are_recorded(
    anna: Caller, bert: Caller, moto_s3: Storage
) -> None:
    del moto_s3
    accounts.invite(anna, "eve@example.com")
    assert (newest(anna).kind, newest(anna).detail) == ("invited", {"email": "eve@example.com"})
    passwords.reset_link_for_admin(anna, bert.user_id)
    assert (newest(anna).kind, newest(anna).subject) == ("reset_link", bert.email)
    reconcile.for_admin(anna, repair=True)
    assert (newest(anna).kind, newest(anna).actor) == ("reconciled", anna.email)


def test_changes_to_the_own_account_are_recorded(anna: Caller, bert: Caller) -> None:
    made = tokens.create(bert, "Nightly")
    assert (newest(anna).kind, newest(anna).detail) == ("token_created", {"name": "Nightly"})
    tokens.revoke(bert, made.token_id)
    assert (newest(anna).kind, newest(anna).detail) == ("token_revoked", {"name": "Nightly"})
    accounts.change_password(bert, "correct horse", "battery staple")
    assert (newest(anna).kind, newest(anna).actor) == ("password_changed", bert.email)
