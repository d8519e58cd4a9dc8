"""What people did, in sentences, and found by person, kind and day."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.state.conftest import Person, Server, Tab
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.models import Event
from videovault.services.admin.audit_log import EVENT_GROUPS, AuditEntryView
from videovault.state.admin.activity import SENTENCES, AdminActivityState, Entry, sentence


def entry(kind: str, **values: object) -> AuditEntryView:
    known = {"actor": "anna@example.com", "title": "Bread", "video_id": "video_1", "detail": {}}
    return AuditEntryView(number=1, at=utcnow(), kind=kind, **(known | values))


@pytest.mark.parametrize("kind", [kind for kinds in EVENT_GROUPS.values() for kind in kinds])
def test_every_kind_has_its_sentence(kind: str) -> None:
    assert kind in SENTENCES
    for known in (entry(kind), entry(kind, actor="", title="", subject="", video_id="")):
        shown = sentence(known)
        assert shown.endswith((".", "!"))
        assert "{" not in shown
        assert shown[0].isupper() or shown[0] in "“a"


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        (entry("login"), "anna@example.com signed in."),
        (entry("login_failed"), "Someone tried to sign in as anna@example.com with a wrong password."),
        (
            entry("login_failed", actor=""),
            "Someone tried to sign in with an address that has no account.",
        ),
        (entry("delete", subject="anna@example.com"), "anna@example.com deleted “Bread”."),
        (entry("delete", subject="bob@example.com"), "anna@example.com deleted “Bread” of bob@example.com."),
        (entry("download", title=""), "anna@example.com downloaded a deleted video."),
        (entry("status.ready", title=""), "A deleted video became ready."),
        (entry("status.failed", detail={"why": "It broke."}), "“Bread” failed: It broke."),
        (entry("status.failed", by="person"), "anna@example.com cancelled “Bread”."),
        (
            entry("share_opened", actor="", detail={"network": "203.0.113.0/24"}),
            "Someone opened “Bread” by its link, from 203.0.113.0/24.",
        ),
        (
            entry("share_opened", actor="", client_ip="203.0.113.7"),
            "Someone opened “Bread” by its link.",
        ),
        (entry("links", subject="anna@example.com"), "anna@example.com got a link to “Bread”."),
        (
            entry("links", video_id="", subject="bob@example.com"),
            "anna@example.com got links to the videos of bob@example.com.",
        ),
        (
            entry("key_read", subject="bob@example.com"),
            "anna@example.com read the secret key of “Bread” of bob@example.com.",
        ),
        (
            entry("sessions_ended", subject="bob@example.com"),
            "anna@example.com signed bob@example.com out everywhere.",
        ),
        (
            entry("user_changed", subject="bob@example.com", detail={"is_admin": True}),
            "anna@example.com made bob@example.com an admin.",
        ),
        (
            entry("user_changed", subject="bob@example.com", detail={"is_active": False}),
            "anna@example.com deactivated the account of bob@example.com.",
        ),
        (
            entry("user_changed", subject="bob@example.com", detail={"quotaBytes": 5_000_000_000}),
            "anna@example.com set the quota of bob@example.com to 5.0 GB.",
        ),
        (entry("renamed", detail={"from": "{who}", "to": "B"}), "anna@example.com renamed “{who}” to “B”."),
    ],
)
def test_sentences_name_user_and_video(known: AuditEntryView, shown: str) -> None:
    assert sentence(known) == shown


@pytest.fixture
def admin(server: Server, person: Callable[[str], Person]) -> Tab:
    tab = server.tab(person("admin").token, address="/admin/activity")
    tab.send(AdminActivityState, "load")
    return tab


def texts(tab: Tab) -> list[str]:
    return [entry.text for entry in tab.sees(AdminActivityState).entries]


def test_what_is_shown_can_be_narrowed(admin: Tab, person: Callable[[str], Person]) -> None:
    bob = person("bob")
    with transaction() as session:
        late = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
        session.add(Event(kind="logout", actor_id=bob.caller.user_id, at=late))
        session.add(Event(kind="user_changed", detail={}))
    admin.send(AdminActivityState, "show", group="admin")
    assert texts(admin) == ["Someone changed the account of a deleted user."]
    admin.send(AdminActivityState, "show", group="nonsense")
    assert len(texts(admin)) == 4
    admin.send(AdminActivityState, "show_person", person="bob@")
    assert len(texts(admin)) == 2
    admin.send(AdminActivityState, "show_day", day="2026-03-01", zone="UTC")
    assert texts(admin) == ["bob@example.com signed out."]
    admin.send(AdminActivityState, "show_day", day="2026-03-01", zone="Asia/Tokyo")
    assert texts(admin) == []
    admin.send(AdminActivityState, "show_day", day="2026-03-02", zone="Asia/Tokyo")
    assert texts(admin) == ["bob@example.com signed out."]
    admin.send(AdminActivityState, "show_day", day="nonsense", zone="nowhere")
    assert len(texts(admin)) == 2


def test_what_was_done_from_an_address_is_found_and_counted(server: Server, admin: Tab) -> None:
    with transaction() as session:
        for client_ip in ("203.0.113.7", "203.0.113.70", "2001:db8::7"):
            session.add(Event(kind="login_failed", client_ip=client_ip, times=3, last_at=utcnow()))
    admin.send(AdminActivityState, "show_client_ip", client_ip=" 203.0.113.7")
    [found] = admin.sees(AdminActivityState).entries
    assert (found.client_ip, found.times, bool(found.last_at)) == ("203.0.113.7", "3 times", True)
    assert found.from_here == "/admin/activity?ip=203.0.113.7"
    admin.send(AdminActivityState, "show_client_ip", client_ip="203.0.113.")
    assert len(texts(admin)) == 2
    again = server.tab(admin.cookie, address="/admin/activity?ip=2001%3Adb8%3A0%3A%3A7")
    again.send(AdminActivityState, "load")
    assert [entry.client_ip for entry in again.sees(AdminActivityState).entries] == ["2001:db8::7"]


def test_older_entries_come_below(admin: Tab) -> None:
    with transaction() as session:
        session.add_all(Event(kind="download", detail={}) for _ in range(60))
    admin.send(AdminActivityState, "load")
    assert (len(texts(admin)), admin.sees(AdminActivityState).has_more) == (50, True)
    admin.send(AdminActivityState, "more")
    assert (len(texts(admin)), admin.sees(AdminActivityState).has_more) == (61, False)


def test_other_users_read_nothing(admin: Tab, server: Server, person: Callable[[str], Person]) -> None:
    del admin
    bob = server.tab(person("bob").token, address="/admin/activity")
    bob.send(AdminActivityState, "load")
    bob.send(AdminActivityState, "show", group="sign-ins")
    bob.send(AdminActivityState, "more")
    assert (bob.sees(AdminActivityState).access, texts(bob)) == ("no", [])


def test_a_person_is_picked_and_the_address_keeps_what_is_shown(
    server: Server, admin: Tab, person: Callable[[str], Person]
) -> None:
    bob = person("bob")
    admin.send(AdminActivityState, "show_person", person="bo")
    assert admin.sees(AdminActivityState).suggestions == ["bob@example.com"]
    admin.send(AdminActivityState, "show", group="sign-ins")
    admin.send(AdminActivityState, "show_day", day=utcnow().date().isoformat(), zone="UTC")
    shown = admin.sees(AdminActivityState).address
    again = server.tab(person("carl").token, address=f"/admin/activity?{shown}")
    again.send(AdminActivityState, "load")
    assert texts(again) == []
    again = server.tab(admin.cookie, address=f"/admin/activity?{shown}")
    again.send(AdminActivityState, "load")
    assert texts(again) == [f"{bob.caller.email} created an account."]
    assert again.sees(AdminActivityState).address == shown


def test_failures_are_marked_and_cancellations_are_not() -> None:
    assert Entry.of(entry("status.failed", detail={"why": "It broke."})).is_bad
    assert not Entry.of(entry("status.failed", by="person")).is_bad
