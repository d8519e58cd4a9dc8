"""Signed callbacks (Standard Webhooks): valid and invalid signatures, and replays."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select
from standardwebhooks import Webhook

from tests.api.requests import STATUS, code, gallery, report
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.models import WebhookCall, WebhookId
from videovault.services.generation import callbacks, orders
from videovault.services.maintenance import repair

pytestmark = pytest.mark.usefixtures("moto_s3")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture(autouse=True)
def _signing(configure: Configure) -> None:
    configure(WEBHOOK_SECRET=SECRET)


def signed(body: bytes, secret: str = SECRET, age: timedelta = timedelta()) -> dict[str, str]:
    at = datetime.now(UTC) - age
    return {
        "Content-Type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body.decode()),
    }


@pytest.fixture
def body(ada: Person, generating: str) -> bytes:
    return json.dumps({"userId": ada.user_id, "videoId": generating, "status": "failed"}).encode()


def bearer(generator: Generator) -> dict[str, str]:
    return {"Authorization": f"Bearer {generator.requests[0]['callbackToken']}"}


def test_a_valid_signature_is_enough(client: httpx.Client, ada: Person, body: bytes) -> None:
    assert client.put(STATUS, content=body, headers=signed(body)).status_code == 200
    assert gallery(ada)["failedCount"] == 1


def test_a_signature_does_not_allow_another_user_id(client: httpx.Client, bob: Person, body: bytes) -> None:
    other = json.dumps(json.loads(body) | {"userId": bob.user_id}).encode()
    assert code(client.put(STATUS, content=other, headers=signed(other))) == (403, "FORBIDDEN")


def test_a_signed_report_on_a_deleted_video_is_404(client: httpx.Client, body: bytes) -> None:
    gone = json.dumps(json.loads(body) | {"videoId": "video_1_gone"}).encode()
    assert code(client.put(STATUS, content=gone, headers=signed(gone))) == (404, "VIDEO_NOT_FOUND")


def test_an_invalid_signature_is_401_even_with_a_valid_token(
    client: httpx.Client, ada: Person, generator: Generator, body: bytes
) -> None:
    with_tokens: list[Any] = [False, True]
    faults: list[Any] = [
        {"secret": OTHER},
        {"age": timedelta(minutes=6)},
        {"age": timedelta(minutes=-6)},
    ]
    for with_token in with_tokens:
        for fault in faults:
            headers = signed(body, **fault) | (bearer(generator) if with_token else {})
            assert code(client.put(STATUS, content=body, headers=headers)) == (401, "NOT_SIGNED_IN")
            assert gallery(ada)["processingCount"] == 1


def test_incomplete_signature_headers_are_401(
    client: httpx.Client, body: bytes, generator: Generator
) -> None:
    cases: list[Any] = [
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,***"},
        {"webhook-timestamp": "yesterday"},
        {"webhook-id": "msg_2"},
    ]
    for change in cases:
        headers = signed(body) | bearer(generator) | change
        assert code(client.put(STATUS, content=body, headers=headers)) == (401, "NOT_SIGNED_IN")


def test_a_changed_body_is_401(client: httpx.Client, body: bytes) -> None:
    changed = body.replace(b"failed", b"ready ")
    assert code(client.put(STATUS, content=changed, headers=signed(body))) == (401, "NOT_SIGNED_IN")


def test_without_signature_headers_the_token_is_enough(
    client: httpx.Client, body: bytes, generator: Generator
) -> None:
    headers = bearer(generator) | {"Content-Type": "application/json"}
    assert client.put(STATUS, content=body, headers=headers).status_code == 200


def test_without_a_secret_a_signature_is_ignored(
    client: httpx.Client, body: bytes, generator: Generator, configure: Configure
) -> None:
    configure(WEBHOOK_SECRET="")
    headers = signed(body)
    assert code(client.put(STATUS, content=body, headers=headers)) == (401, "NOT_SIGNED_IN")
    assert client.put(STATUS, content=body, headers=headers | bearer(generator)).status_code == 200


def signed_report(
    owner: Person, video_id: str, status: str, webhook_id: str = "msg_1", **more: str
) -> httpx.Request:
    body = json.dumps({"userId": owner.user_id, "videoId": video_id, "status": status, **more})
    at = datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(webhook_id, at, body),
    }
    return httpx.Request("PUT", f"http://localhost:3000{STATUS}", content=body, headers=headers)


def retry(person: Person, video_id: str) -> None:
    person.api.post(f"/api/auth/video/{video_id}/retry").raise_for_status()
    orders.send_order(video_id)


def test_a_replayed_failure_does_not_fail_the_next_attempt(
    ada: Person, generating: str, client: httpx.Client
) -> None:
    captured = signed_report(ada, generating, "failed")
    assert client.send(captured).status_code == 200
    retry(ada, generating)
    answer = client.send(captured)
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "processing")
    assert gallery(ada)["failedCount"] == 0
    assert client.send(signed_report(ada, generating, "failed", "msg_2")).status_code == 200
    assert gallery(ada)["failedCount"] == 1


def test_replays_do_not_displace_a_videos_history(ada: Person, generating: str, client: httpx.Client) -> None:
    captured = signed_report(ada, generating, "processing")
    for _ in range(5):
        assert client.send(captured).status_code == 200
    with reading() as session:
        arrived = session.exec(select(WebhookCall).where(WebhookCall.direction == "in").order_by("id")).all()
    assert [(row.video_id, row.verdict) for row in arrived] == [
        (generating, "accepted"),
        *[(None, "duplicate")] * 4,
    ]


def test_a_report_that_was_refused_may_be_sent_again(
    ada: Person, generating: str, client: httpx.Client, generator: Generator
) -> None:
    """Senders repeat failed reports under the same id; only applied ones are recorded."""
    assert code(client.send(signed_report(ada, generating, "ready"))) == (409, "CONFLICT")
    again = signed_report(ada, generating, "ready", videoUrl=generator.video_url)
    assert client.send(again).status_code == 202


def test_a_signature_with_a_token_is_applied_once_too(
    ada: Person, generating: str, client: httpx.Client, generator: Generator
) -> None:
    captured = signed_report(ada, generating, "failed")
    captured.headers["Authorization"] = f"Bearer {generator.requests[0]['callbackToken']}"
    assert client.send(captured).status_code == 200
    retry(ada, generating)
    del captured.headers["Authorization"]
    assert client.send(captured).status_code == 200
    assert gallery(ada)["failedCount"] == 0


def test_concurrent_copies_are_applied_once(ada: Person, generating: str, make_client: MakeClient) -> None:
    captured, start = signed_report(ada, generating, "failed"), threading.Barrier(8)
    statuses: list[int] = []

    def send() -> None:
        with make_client() as own:
            start.wait(30)
            statuses.append(own.send(captured).status_code)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 8
    with reading() as session:
        verdicts = session.exec(select(WebhookCall.verdict).where(WebhookCall.direction == "in")).all()
    assert sorted(verdicts) == ["accepted", *["duplicate"] * 7]


def test_webhook_ids_are_purged_when_their_signatures_expire(
    ada: Person, generating: str, client: httpx.Client
) -> None:
    client.send(signed_report(ada, generating, "processing"))
    repair.clean_up()
    assert count_webhook_ids() == 1
    with transaction() as session:
        session.exec(select(WebhookId)).one().received_at = (
            utcnow() - callbacks.WEBHOOK_ID_TTL - timedelta(seconds=1)
        )
    repair.clean_up()
    assert count_webhook_ids() == 0


def test_webhook_ids_are_limited_and_never_evicted(
    ada: Person, generating: str, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "MAX_WEBHOOK_IDS", 2)
    first = signed_report(ada, generating, "processing", "msg_1")
    client.send(first)
    client.send(signed_report(ada, generating, "processing", "msg_2"))
    refused = client.send(signed_report(ada, generating, "failed", "msg_3"))
    assert (code(refused), refused.headers["retry-after"]) == ((429, "RATE_LIMITED"), "60")
    assert client.send(first).status_code == 200
    assert (count_webhook_ids(), gallery(ada)["processingCount"]) == (2, 1)


def test_a_late_failure_of_an_earlier_attempt_is_superseded(
    ada: Person, generating: str, generator: Generator, make_client: MakeClient
) -> None:
    ada.api.post(f"/api/auth/video/{generating}/cancel").raise_for_status()
    retry(ada, generating)
    first, second = (
        make_client(headers={"Authorization": f"Bearer {order['callbackToken']}"})
        for order in generator.requests
    )
    assert report(first, ada, generating, "failed", error="out of memory").status_code == 200
    assert gallery(ada)["failedCount"] == 0
    assert report(second, ada, generating, "failed", error="out of memory").status_code == 200
    assert gallery(ada)["failedCount"] == 1


def count_webhook_ids() -> int:
    with reading() as session:
        return len(session.exec(select(WebhookId)).all())
