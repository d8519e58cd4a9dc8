"""The audit log is filtered by person, kind and time, names deleted videos, and shows no secrets."""

from datetime import timedelta
from typing import Any

import pytest

from videovault.clock import utcnow
from videovault.db import transaction
from videovault.errors import Forbidden, InvalidInput
from videovault.models import Event, Status
from videovault.services.accounts import accounts
from videovault.services.admin import audit_log, users
from videovault.services.admin.audit_log import EVENT_GROUPS, AuditEntryView, AuditLogQuery
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller


def entries(caller: Caller, **query: Any) -> list[AuditEntryView]:
    return audit_log.list_entries(caller, AuditLogQuery(**query)).entries


def kinds(caller: Caller, **query: Any) -> list[str]:
    return [entry.kind for entry in entries(caller, **query)]


def happened(kind: str, actor: Caller | None = None, **values: Any) -> None:
    with transaction() as session:
        session.add(Event(kind=kind, actor_id=actor.user_id if actor else None, **values))


def test_only_admins_may_read_it(bert: Caller) -> None:
    with pytest.raises(Forbidden):
        audit_log.list_entries(bert, AuditLogQuery())


def test_successful_and_failed_sign_ins_are_listed(anna: Caller, bert: Caller) -> None:
    accounts.login("bert@example.com", "correct horse")
    for email in ("bert@example.com", "nobody@example.com"):
        with pytest.raises(Exception, match="wrong"):
            accounts.login(email, "wrong horse")
    found = entries(anna, group="sign-ins")
    assert [(entry.kind, entry.actor) for entry in found] == [
        ("login_failed", ""),
        ("login_failed", bert.email),
        ("login", bert.email),
        ("register", bert.email),
        ("register", anna.email),
    ]


def test_internal_events_are_left_out(anna: Caller) -> None:
    happened("metadata")
    happened("status", detail={"to": "queued"})
    happened("status", detail={"to": "ready"})
    happened("object_tagged")
    assert kinds(anna) == ["status.ready", "register"]


def test_each_group_lists_its_own_events(anna: Caller) -> None:
    for wanted in EVENT_GROUPS.values():
        for kind in wanted:
            plain, _, to = kind.partition(".")
            happened(plain, anna, detail={"to": to} if to else {})
    for group, wanted in EVENT_GROUPS.items():
        assert set(kinds(anna, group=group, limit=200)) == set(wanted), group


def test_a_person_is_found_by_part_of_the_address_or_name(anna: Caller, bert: Caller) -> None:
    assert kinds(anna, person="BERT") == ["register"]
    assert kinds(anna, user_id=bert.user_id) == ["register"]
    assert kinds(anna, person="nobody") == []


def test_a_period_includes_its_start_but_not_its_end(anna: Caller) -> None:
    at = utcnow() - timedelta(days=3)
    happened("download", anna, at=at)
    assert kinds(anna, since=at, until=at + timedelta(seconds=1)) == ["download"]
    assert kinds(anna, since=at - timedelta(days=1), until=at) == []


def test_pages_follow_each_other(anna: Caller) -> None:
    for number in range(5):
        happened("download", anna, detail={"number": number})
    first = audit_log.list_entries(anna, AuditLogQuery(group="downloads", limit=3))
    second = audit_log.list_entries(
        anna, AuditLogQuery(group="downloads", limit=3, cursor=first.next_cursor or "")
    )
    assert (len(first.entries), len(second.entries), second.next_cursor) == (3, 2, None)
    assert first.entries[-1].number > second.entries[0].number
    with pytest.raises(InvalidInput):
        audit_log.list_entries(anna, AuditLogQuery(cursor="-1"))


def test_a_deleted_video_keeps_its_title_in_the_log(anna: Caller, bert: Caller) -> None:
    video = lifecycle.new_video(bert.user_id, Status.READY, "Bread")
    with transaction() as session:
        session.add(video)
    happened("download", bert, video_id=video.id)
    happened("delete", anna, video_id=video.id, detail={"title": "Bread", "userId": bert.user_id})
    with transaction() as session:
        session.delete(video)
    deleted, downloaded = entries(anna)[:2]
    assert (deleted.actor, deleted.subject, deleted.title) == (anna.email, bert.email, "Bread")
    assert (downloaded.actor, downloaded.title) == (bert.email, "Bread")


def test_only_public_details_are_shown(anna: Caller, bert: Caller) -> None:
    happened("share_opened", detail={"network": "203.0.113.0/24", "address": "203.0.113.7", "key": "secret"})
    users.change_user(anna, bert.user_id, {"quota_bytes": 5})
    changed, opened = entries(anna)[:2]
    assert opened.detail == {"network": "203.0.113.0/24"}
    assert (changed.subject, changed.detail) == (bert.email, {"quotaBytes": 5})


def test_a_whole_address_matches_only_that_person(anna: Caller) -> None:
    accounts.register("joanna@example.com", "correct horse")
    assert {entry.actor for entry in entries(anna, person="ANNA@example.com")} == {anna.email}
    assert len({entry.actor for entry in entries(anna, person="anna@")}) == 2


def test_entries_name_the_videos_owner(anna: Caller, bert: Caller) -> None:
    with transaction() as session:
        video = lifecycle.new_video(bert.user_id, Status.DRAFT, "Launch")
        session.add(video)
    happened("download", anna, video_id=video.id)
    [entry] = entries(anna, group="downloads")
    assert (entry.actor, entry.subject, entry.title) == (anna.email, bert.email, "Launch")
