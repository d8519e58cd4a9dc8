"""A signed report that is sent again as it was does nothing, and one of an earlier attempt fails no later one."""

import json
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlmodel import select
from standardwebhooks import Webhook

from tests.api.requests import STATUS, code, gallery, report
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from videovault.db import reading, transaction
from videovault.models import WebhookCall, WebhookId, utcnow
from videovault.services.generation import callbacks, orders
from videovault.services.maintenance import repair

pytestmark = pytest.mark.usefixtures("moto_s3")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def _signing(configure: Configure) -> None:
    configure(WEBHOOK_SECRET=SECRET)


def signed(
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


def tried_again(person: Person, video_id: str) -> None:
    person.api.post(f"/api/auth/video/{video_id}/retry").raise_for_status()
    orders.send_order(video_id)


def test_a_replayed_failure_does_not_fail_the_next_attempt(
    ada: Person, generating: str, client: httpx.Client
) -> None:
    captured = signed(ada, generating, "failed")
    assert client.send(captured).status_code == 200
    tried_again(ada, generating)
    answer = client.send(captured)
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "processing")
    assert gallery(ada)["failedCount"] == 0
    assert client.send(signed(ada, generating, "failed", "msg_2")).status_code == 200
    assert gallery(ada)["failedCount"] == 1


def test_replays_push_nothing_out_of_the_videos_history(
    ada: Person, generating: str, client: httpx.Client
) -> None:
    captured = signed(ada, generating, "processing")
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
    """A sender repeats what failed under the same id; only what was applied is remembered."""
    assert code(client.send(signed(ada, generating, "ready"))) == (409, "CONFLICT")
    again = signed(ada, generating, "ready", videoUrl=generator.video_url)
    assert client.send(again).status_code == 202


def test_with_a_token_beside_it_a_signature_counts_once_too(
    ada: Person, generating: str, client: httpx.Client, generator: Generator
) -> None:
    captured = signed(ada, generating, "failed")
    captured.headers["Authorization"] = f"Bearer {generator.requests[0]['callbackToken']}"
    assert client.send(captured).status_code == 200
    tried_again(ada, generating)
    del captured.headers["Authorization"]
    assert client.send(captured).status_code == 200
    assert gallery(ada)["failedCount"] == 0


def test_many_copies_at_once_apply_once(ada: Person, generating: str, make_client: MakeClient) -> None:
    captured, start = signed(ada, generating, "failed"), threading.Barrier(8)
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


def test_ids_are_forgotten_once_their_signatures_are_too_old(
    ada: Person, generating: str, client: httpx.Client
) -> None:
    client.send(signed(ada, generating, "processing"))
    repair.clean_up()
    assert remembered() == 1
    with transaction() as session:
        session.exec(select(WebhookId)).one().received_at = (
            utcnow() - callbacks.WEBHOOK_ID_TTL - timedelta(seconds=1)
        )
    repair.clean_up()
    assert remembered() == 0


def test_so_many_ids_are_remembered_and_none_is_forgotten_for_another(
    ada: Person, generating: str, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "MAX_WEBHOOK_IDS", 2)
    first = signed(ada, generating, "processing", "msg_1")
    client.send(first)
    client.send(signed(ada, generating, "processing", "msg_2"))
    refused = client.send(signed(ada, generating, "failed", "msg_3"))
    assert (code(refused), refused.headers["retry-after"]) == ((429, "RATE_LIMITED"), "60")
    assert client.send(first).status_code == 200
    assert (remembered(), gallery(ada)["processingCount"]) == (2, 1)


def test_a_late_failure_of_an_earlier_attempt_is_superseded(
    ada: Person, generating: str, generator: Generator, make_client: MakeClient
) -> None:
    ada.api.post(f"/api/auth/video/{generating}/cancel").raise_for_status()
    tried_again(ada, generating)
    first, second = (
        make_client(headers={"Authorization": f"Bearer {order['callbackToken']}"})
        for order in generator.requests
    )
    assert report(first, ada, generating, "failed", error="out of memory").status_code == 200
    assert gallery(ada)["failedCount"] == 0
    assert report(second, ada, generating, "failed", error="out of memory").status_code == 200
    assert gallery(ada)["failedCount"] == 1


def remembered() -> int:
    with reading() as session:
        return len(session.exec(select(WebhookId)).all())
