"""Floods of unauthenticated callbacks fill neither the disk nor a video's history."""

import json
from collections import Counter
from collections.abc import Callable

import httpx
import pytest
from sqlmodel import select

from tests.api.requests import STATUS, report
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from videovault.db import reading
from videovault.models import WebhookCall
from videovault.services.generation import webhook_log

pytestmark = [pytest.mark.usefixtures("moto_s3"), pytest.mark.thorough]
# 28 KB of headers and 15 KB of body, as in the attack that filled the disk.
PADDING = {f"x-padding-{number}": "y" * 1000 for number in range(28)}
ADDRESS = "198.51.100.7"
Flood = Callable[[list[str]], None]


@pytest.fixture
def flood(ada: Person, generating: str, make_client: MakeClient) -> Flood:
    """Send one rejected callback from each of these addresses."""
    client = make_client(headers=PADDING)

    def send(addresses: list[str]) -> None:
        for address in addresses:
            client.headers["X-Forwarded-For"] = address
            assert report(client, ada, generating, "failed", error="x" * 15_000).status_code == 401

    return send


def test_unauthenticated_calls_from_many_addresses_are_bounded(
    flood: Flood, admin: Person, generating: str, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without rate limits only the table's bounds apply."""
    configure(RATE_LIMITS="off")
    monkeypatch.setattr(webhook_log, "MAX_UNAUTHENTICATED_CALLS", 30)
    flood([f"203.0.113.{number % 25}" for number in range(35)] + [ADDRESS] * 25)
    rows = logged()
    assert len(rows) == 30
    addresses = Counter(row.address for row in rows)
    assert addresses[ADDRESS] == webhook_log.MAX_CALLS_PER_NETWORK
    assert max(addresses.values()) == webhook_log.MAX_CALLS_PER_NETWORK
    assert max(len(json.dumps(row.headers)) + len(row.body) for row in rows) < 32 * 1024
    shown = admin.api.get("/api/admin/deliveries", params={"direction": "in"}).json()["data"]["deliveries"]
    assert (shown[0]["address"], shown[0]["httpStatus"]) == (ADDRESS, 401)
    assert admin.api.get("/api/admin/deliveries", params={"videoId": generating}).json()["data"][
        "deliveries"
    ] == [logged_order(admin, generating)]


def test_unauthenticated_calls_from_one_address_are_bounded(flood: Flood) -> None:
    flood([ADDRESS] * 60)
    assert len(logged()) == 10


def test_ipv6_networks_of_one_customer_share_a_bound(flood: Flood, configure: Configure) -> None:
    configure(RATE_LIMITS="off")
    flood([f"2001:db8:7:{number:x}::1" for number in range(40)])
    rows = logged()
    assert {row.address for row in rows} == {"2001:db8:7::/48"}
    assert len(rows) == webhook_log.MAX_CALLS_PER_NETWORK


def test_other_users_add_nothing_to_a_videos_history(bob: Person, ada: Person, generating: str) -> None:
    assert report(bob.api, ada, generating, "failed").status_code == 403
    own_name = {"userId": bob.user_id, "videoId": generating, "status": "failed"}
    assert bob.api.put(STATUS, json=own_name).status_code == 404
    assert [row.video_id for row in logged()] == [None, None]


def test_an_unreadable_report_of_its_generator_is_in_the_videos_history(
    generating: str, callback: httpx.Client
) -> None:
    """Otherwise people could not see what their generator sends."""
    headers = {"Content-Type": "application/json"}
    for content in (b"{broken", b'{"videoId": "the generators own", "status": "odd"}'):
        assert callback.put(STATUS, content=content, headers=headers).status_code == 400
    assert [(row.video_id, row.address) for row in logged("unread")] == [(generating, "")] * 2


@pytest.mark.usefixtures("generating")
def test_a_forged_token_adds_nothing_to_a_videos_history(make_client: MakeClient) -> None:
    forged = make_client(headers={"Authorization": "Bearer WyJ2aWRlb18xIiwieCJd.aaaaaa.bbbbbbbb"})
    assert forged.put(STATUS, content=b"{broken", headers={"Content-Type": "application/json"}).is_error
    assert [row.video_id for row in logged()] == [None]


def test_a_videos_history_is_bounded(
    ada: Person, generating: str, callback: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_log, "MAX_CALLS_PER_VIDEO", 5)
    for _ in range(8):
        assert report(callback, ada, generating, "processing").status_code == 200
    with reading() as session:
        kept = session.exec(select(WebhookCall.id).where(WebhookCall.video_id == generating)).all()
    assert len(kept) == 5


def logged(verdict: str = "refused") -> list[WebhookCall]:
    """Incoming calls with this verdict, oldest first."""
    with reading() as session:
        wanted = select(WebhookCall).where(WebhookCall.direction == "in", WebhookCall.verdict == verdict)
        return list(session.exec(wanted.order_by("id")))


def logged_order(admin: Person, video_id: str) -> dict[str, object]:
    """The only call in the video's history: the order."""
    answer: httpx.Response = admin.api.get(
        "/api/admin/deliveries", params={"direction": "out", "videoId": video_id}
    )
    (kept,) = answer.json()["data"]["deliveries"]
    return dict(kept)
