"""What people do leaves an entry with who, what and when, whichever way they do it."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.services.conftest import Row
from tests.support.installation import Configure
from videovault.db import transaction
from videovault.gateways.storage import Storage
from videovault.models import Delivery, Status, Video, now
from videovault.services.accounts import accounts, invitations, password_reset, tokens
from videovault.services.admin import audit_log, users, webhook_log
from videovault.services.admin.audit_log import ActivityQuery
from videovault.services.admin.views import EntryView
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.maintenance import reconcile
from videovault.services.sharing import links
from videovault.services.transfer import pipeline
from videovault.services.videos import gallery

ADDRESS = "https://films.example/a.mp4"


def ignored(_video_id: str) -> None:
    """No worker is needed."""


def newest(anna: Caller) -> EntryView:
    return audit_log.page(anna, ActivityQuery(limit=1)).entries[0]


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
def test_a_retry_is_told_of_its_owner_and_of_an_admin(
    anna: Caller, bert: Caller, put: Callable[..., Video], failed: dict[str, object], kind: str
) -> None:
    for who in (bert, anna):
        retry(who, put(Status.FAILED, **failed))
        entry = newest(anna)
        assert (entry.kind, entry.actor, entry.subject, entry.title) == (kind, who.email, bert.email, "Bread")
        assert now() - entry.at < timedelta(minutes=1)


def test_what_is_done_to_a_video_is_told(
    anna: Caller, bert: Caller, put: Callable[..., Video], configure: Configure, moto_s3: Storage
) -> None:
    del moto_s3
    ready, stuck = put(Status.READY, s3_key="videos/x", size=1), put(Status.FAILED)
    gallery.rename(bert, ready.id, "Rolls")
    assert (newest(anna).kind, newest(anna).detail) == ("renamed", {"from": "Bread", "to": "Rolls"})
    links.open_link(bert, ready.id)
    assert newest(anna).kind == "shared"
    links.rotate(bert, ready.id)
    assert newest(anna).kind == "key_replaced"
    links.close_link(bert, ready.id)
    assert newest(anna).kind == "unshared"
    pipeline.cancel(bert, put(Status.GENERATING).id)
    assert (newest(anna).kind, newest(anna).by) == ("status.failed", "person")
    configure(SOURCE_ALLOW_HOSTS="127.0.0.1:9")
    webhook_log.rescue(anna, stuck.id, "http://127.0.0.1:9/a.mp4", enqueue=ignored)
    assert (newest(anna).kind, newest(anna).subject) == ("rescued", bert.email)


def test_a_report_that_is_applied_again_is_told(
    anna: Caller, bert: Caller, put: Callable[..., Video], row: Row
) -> None:
    waiting = put(Status.GENERATING)
    said = {"userId": bert.user_id, "videoId": waiting.id, "status": "failed", "error": "No flour"}
    with transaction() as session:
        call = Delivery(direction="in", kind="status", verdict="refused", body=json.dumps(said))
        session.add(call)
    webhook_log.replay(anna, str(call.id), enqueue=ignored)
    assert row(waiting.id).status == Status.FAILED
    assert (newest(anna).kind, newest(anna).actor, newest(anna).subject) == (
        "replayed",
        anna.email,
        bert.email,
    )


@pytest.mark.parametrize("wanted", [{"is_admin": True}, {"is_active": False}, {"quota_bytes": 5}])
def test_what_an_admin_changes_of_an_account_is_told(
    anna: Caller, bert: Caller, wanted: users.Change
) -> None:
    users.change(anna, bert.user_id, wanted)
    entry = newest(anna)
    assert (entry.kind, entry.actor, entry.subject) == ("user_changed", anna.email, bert.email)
    assert list(entry.detail.values()) == list(wanted.values())


def test_what_an_admin_hands_out_or_mends_is_told(anna: Caller, bert: Caller, moto_s3: Storage) -> None:
    del moto_s3
    invitations.invite(anna, "eve@example.com")
    assert (newest(anna).kind, newest(anna).detail) == ("invited", {"email": "eve@example.com"})
    password_reset.for_admin(anna, bert.user_id)
    assert (newest(anna).kind, newest(anna).subject) == ("reset_link", bert.email)
    reconcile.for_admin(anna, repair=True)
    assert (newest(anna).kind, newest(anna).actor) == ("reconciled", anna.email)


def test_what_people_do_to_their_own_account_is_told(anna: Caller, bert: Caller) -> None:
    made = tokens.create(bert, "Nightly")
    assert (newest(anna).kind, newest(anna).detail) == ("token_created", {"name": "Nightly"})
    tokens.revoke(bert, made.about.token_id)
    assert (newest(anna).kind, newest(anna).detail) == ("token_revoked", {"name": "Nightly"})
    accounts.change_password(bert, "correct horse", "battery staple")
    assert (newest(anna).kind, newest(anna).actor) == ("password_changed", bert.email)
