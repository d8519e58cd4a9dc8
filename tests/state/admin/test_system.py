"""The System page: checks, statistics, webhook log, test order and mismatches."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from moto.s3.models import s3_backends

from tests.state.conftest import Person, Server, Tab
from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault.db import transaction
from videovault.gateways.storage import Description, Storage
from videovault.models import Event, Status, WebhookCall
from videovault.services.admin.checks import object_store
from videovault.services.core import lifecycle
from videovault.services.generation.result_field import video_result_field
from videovault.services.maintenance.reconcile import Report
from videovault.state.admin.activity import AdminStatisticsState
from videovault.state.admin.mismatches import AdminMismatchesState, verdict
from videovault.state.admin.system import AdminSystemState, AdminTestOrderState
from videovault.state.admin.webhook_log import AdminWebhookLogState
from videovault.state.session import SessionState


@pytest.fixture
def two(person: Callable[[str], Person], configure: Configure) -> dict[str, Person]:
    configure(SCRIPT_WEBHOOK_URL="", VIDEO_WEBHOOK_URL="")
    return {name: person(name) for name in ("admin", "bob")}


@pytest.fixture
def admin(server: Server, two: dict[str, Person]) -> Tab:
    return server.tab(two["admin"].token, address="/admin/system")


@pytest.fixture
def bob(server: Server, two: dict[str, Person]) -> Tab:
    return server.tab(two["bob"].token, address="/admin/system")


def states(tab: Tab) -> dict[str, str]:
    return {check.name: check.state for check in tab.sees(AdminSystemState).checks}


def test_checks_are_shown_before_they_are_run_and_then_with_what_was_found(
    admin: Tab, moto_s3: Storage
) -> None:
    admin.send(AdminSystemState, "load")
    assert set(states(admin).values()) == {""}
    admin.send(AdminSystemState, "run")
    found = states(admin)
    assert found.pop("browser") == ""
    assert (found["storage"], found["database"], found["workers"]) == ("ok", "ok", "broken")
    assert admin.sees(AdminSystemState).verdict == ""  # the browser has not reported yet
    assert list(moto_s3.keys()) == []


def test_the_browser_check_passes_and_removes_its_picture(admin: Tab, moto_s3: Storage) -> None:
    admin.send(AdminSystemState, "load")
    admin.start(AdminSystemState, "ask_browser")
    admin.wait_until(lambda: admin.sees(AdminSystemState).probe_url != "")
    assert len(list(moto_s3.keys(object_store.PREFIX))) == 1
    admin.send(AdminSystemState, "report_browser_result", arrived=True)
    admin.wait_until(lambda: states(admin)["browser"] == "ok")
    assert (list(moto_s3.keys()), admin.sees(AdminSystemState).probe_url) == ([], "")


def test_a_failed_browser_check_gives_advice(admin: Tab, moto_s3: Storage) -> None:
    del moto_s3
    admin.send(AdminSystemState, "load")
    admin.start(AdminSystemState, "ask_browser")
    admin.wait_until(lambda: admin.sees(AdminSystemState).probe_url != "")
    admin.send(AdminSystemState, "report_browser_result", arrived=False)
    admin.wait_until(lambda: states(admin)["browser"] == "broken")
    [shown] = [check for check in admin.sees(AdminSystemState).checks if check.name == "browser"]
    assert "S3_PUBLIC_ENDPOINT_URL" in shown.advice


def test_other_users_run_no_checks(bob: Tab, moto_s3: Storage) -> None:
    bob.send(AdminSystemState, "load")
    bob.send(AdminSystemState, "run")
    bob.send(AdminSystemState, "ask_browser")
    assert (bob.sees(AdminSystemState).access, states(bob)) == ("no", {})
    assert list(moto_s3.keys()) == []


def test_figures_are_counted_in_the_viewers_days(admin: Tab, bob: Tab) -> None:
    with transaction() as session:
        session.add(Event(kind="stored", detail={"size": 4_000_000}))
    admin.send(AdminStatisticsState, "load", zone="Europe/Berlin")
    shown = admin.sees(AdminStatisticsState)
    assert (len(shown.days), shown.days[-1].size, shown.last_30_days) == (30, "4.0 MB", "1 video, 4.0 MB")
    assert (shown.accounts, shown.videos, shown.storage) == ("2 accounts", "0 videos", "0 bytes")
    bob.send(AdminStatisticsState, "load", zone="UTC")
    assert bob.sees(AdminStatisticsState).days == []


def test_the_webhook_log_is_paged_filtered_and_replayed(admin: Tab, bob: Tab, two: dict[str, Person]) -> None:
    owner_id = two["bob"].caller.user_id
    with transaction() as session:
        video = lifecycle.new_video(owner_id, Status.GENERATING, "Bread")
        session.add(video)
        session.flush()
        body = f'{{"userId": "{owner_id}", "videoId": "{video.id}", "status": "failed", "error": "No flour"}}'
        session.add_all(WebhookCall(direction="out", kind="video", verdict="accepted") for _ in range(25))
        report = WebhookCall(direction="in", kind="status", verdict="refused", body=body, video_id=video.id)
        session.add(report)
    admin.send(AdminWebhookLogState, "load")
    shown = admin.sees(AdminWebhookLogState)
    assert (len(shown.calls), shown.has_more) == (20, True)
    assert (shown.calls[0].title, shown.calls[0].verdict) == ("Generator report", "Refused")
    admin.send(AdminWebhookLogState, "more")
    assert len(admin.sees(AdminWebhookLogState).calls) == 26
    admin.send(AdminWebhookLogState, "show", direction="in")
    [call] = admin.sees(AdminWebhookLogState).calls
    assert call.video == "Bread"
    assert call.can_be_replayed
    admin.send(AdminWebhookLogState, "replay", delivery_id=call.delivery_id)
    assert "Bread" in admin.sees(SessionState).notice
    bob.send(AdminWebhookLogState, "load")
    bob.send(AdminWebhookLogState, "show", direction="in")
    assert bob.sees(AdminWebhookLogState).calls == []


def test_an_admin_chooses_the_field_of_an_answer_that_was_not_understood(
    admin: Tab, bob: Tab, two: dict[str, Person]
) -> None:
    body = '{"a": "https://cdn.example/1.mp4", "b": "https://cdn.example/2.mp4"}'
    with transaction() as session:
        video = lifecycle.new_video(two["bob"].caller.user_id, Status.GENERATING, "Bread")
        video.requested_at = video.unread_at = video.created_at
        session.add(video)
        session.flush()
        session.add(
            WebhookCall(direction="out", kind="video", verdict="unread", answer=body, video_id=video.id)
        )
    admin.send(AdminWebhookLogState, "load")
    [call] = admin.sees(AdminWebhookLogState).calls
    assert (call.verdict, call.is_bad) == ("Not understood", True)
    assert [(choice.path, choice.address) for choice in call.choices] == [
        ("a", "https://cdn.example/…"),
        ("b", "https://cdn.example/…"),
    ]
    bob.send(AdminWebhookLogState, "choose", delivery_id=call.delivery_id, path="b")
    assert "Only admins" in bob.sees(SessionState).notice
    admin.send(AdminWebhookLogState, "choose", delivery_id=call.delivery_id, path="b")
    notice = admin.sees(SessionState).notice
    assert "1 waiting video continues." in notice
    assert "VIDEO_RESULT_FIELD=b" in notice
    assert admin.sees(AdminWebhookLogState).chosen_field == "b"
    bob.send(AdminWebhookLogState, "reset_field")
    assert video_result_field() == "b"
    admin.send(AdminWebhookLogState, "reset_field")
    assert (admin.sees(AdminWebhookLogState).chosen_field, video_result_field()) == ("", "")


def test_a_test_order_is_shown_step_by_step(
    admin: Tab, bob: Tab, generator: Generator, configure: Configure
) -> None:
    configure(VIDEO_WEBHOOK_URL=f"{generator.url}/video", SCRIPT_WEBHOOK_URL=f"{generator.url}/script")
    admin.send(AdminTestOrderState, "load")
    assert admin.sees(AdminTestOrderState).order_steps == []
    admin.send(AdminTestOrderState, "order")
    shown = admin.sees(AdminTestOrderState)
    assert [step.title for step in shown.order_steps] == [
        "Script webhook (HTTP 200)",
        "Video webhook (HTTP 200)",
    ]
    assert shown.order_steps[-1].read.startswith("Finished; the video is at")
    assert not shown.is_ordering
    bob.send(AdminTestOrderState, "load")
    bob.send(AdminTestOrderState, "order")
    assert bob.sees(AdminTestOrderState).order_steps == []
    assert len(generator.requests) == 2


def test_mismatches_are_shown_first_and_repaired_after_a_confirmation(
    admin: Tab, moto_s3: Storage, two: dict[str, Person]
) -> None:
    key = f"videos/{two['bob'].caller.user_id}/video_1703123456789_abc123def/1_x.mp4"
    moto_s3.put(key, b"x" * 1000, Description("video/mp4"))
    _grows_old(moto_s3.bucket, key)
    with transaction() as session:
        session.add(lifecycle.new_video(two["bob"].caller.user_id, Status.DRAFT, "Bread"))
    admin.send(AdminMismatchesState, "check")
    shown = admin.sees(AdminMismatchesState)
    assert (shown.can_repair, shown.to_delete) == (True, "1 object, 1 KB")
    assert [each.name for each in shown.mismatches[0].examples] == [key]
    admin.send(AdminMismatchesState, "repair")  # not confirmed
    assert list(moto_s3.keys()) == [key]
    admin.send(AdminMismatchesState, "ask")
    admin.send(AdminMismatchesState, "repair")
    shown = admin.sees(AdminMismatchesState)
    assert (shown.can_repair, shown.mismatches[0].repaired, shown.activity) == (False, "1 of 1", "")
    assert list(moto_s3.keys()) == []


def test_other_users_neither_compare_nor_repair(bob: Tab, moto_s3: Storage) -> None:
    moto_s3.put("videos/x", b"x", Description("video/mp4"))
    for handler in ("check", "ask", "repair"):
        bob.send(AdminMismatchesState, handler)
    assert (bob.sees(AdminMismatchesState).verdict, bob.sees(AdminMismatchesState).is_confirming) == (
        "",
        False,
    )
    assert list(moto_s3.keys()) == ["videos/x"]


def test_errors_of_the_comparison_are_shown_beside_it(
    admin: Tab, moto_s3: Storage, configure: Configure
) -> None:
    del moto_s3
    configure(AWS_S3_BUCKET_NAME="no-such-bucket-anywhere")
    admin.send(AdminMismatchesState, "check")
    assert "AWS_S3_BUCKET_NAME" in admin.sees(SessionState).errors["mismatches"]
    assert admin.sees(AdminMismatchesState).activity == ""


def _grows_old(bucket: str, key: str) -> None:
    """Objects younger than an hour are left alone."""
    in_memory = s3_backends["123456789012"]["aws"].buckets[bucket].keys[key]
    in_memory.last_modified = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)


# What the System page says of a comparison of S3 and database.


def test_a_comparison_that_was_stopped_does_not_claim_that_all_is_well() -> None:
    nothing = Report(repair=False, videos=0, objects=200, bytes=0, found=[], left=0)
    assert verdict(nothing, is_stopped=False).startswith("S3 and the database agree.")
    assert verdict(nothing, is_stopped=True).startswith("Stopped early. No mismatch so far.")
