"""Callbacks that prove nothing: however many come, they fill neither the disk nor the history of a video."""

import json
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPResponse

import httpx
import pytest
from sqlmodel import select

from tests.api.requests import STATUS, report
from tests.support.api_server import api_server
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from videovault.db import reading
from videovault.models import WebhookCall
from videovault.services.generation import webhook_log

pytestmark = [pytest.mark.usefixtures("moto_s3"), pytest.mark.thorough]
# 28 KB of headers and 15 KB of body, as in the attack that filled the disk.
HEADERS = "".join(f"x-padding-{number}: {'y' * 1000}\r\n" for number in range(28))
ONE = "198.51.100.7"


Flood = Callable[[list[str]], None]


@pytest.fixture
def flood(ada: Person, generating: str) -> Flood:
    """Send one rejected callback from each of these addresses, by a raw socket to a real server."""
    report = {"userId": ada.user_id, "videoId": generating, "status": "failed", "error": "x" * 15_000}
    body = json.dumps(report).encode()

    def send(addresses: list[str]) -> None:
        with api_server() as port, closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as line:
            for address in addresses:
                head = (
                    f"PUT {STATUS} HTTP/1.1\r\nHost: localhost:{port}\r\nX-Forwarded-For: {address}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{HEADERS}\r\n"
                )
                line.sendall(head.encode() + body)
                answer = HTTPResponse(line)
                answer.begin()
                answer.read()
                assert answer.status == 401

    return send


def test_a_flood_from_many_addresses_stays_in_a_bounded_ring(
    flood: Flood, admin: Person, generating: str, configure: Configure
) -> None:
    """Without rate limits, so that the bounds of the table alone hold; 14 MB came in, 300 rows stay."""
    configure(RATE_LIMITS="off")
    flood([f"203.0.113.{number % 250}" for number in range(310)] + [ONE] * 25)
    rows = refused()
    assert len(rows) == webhook_log.MAX_UNAUTHENTICATED_CALLS
    addresses = Counter(row.address for row in rows)
    assert addresses[ONE] == webhook_log.MAX_CALLS_PER_NETWORK
    assert max(addresses.values()) == webhook_log.MAX_CALLS_PER_NETWORK
    assert max(len(json.dumps(row.headers)) + len(row.body) for row in rows) < 32 * 1024
    shown = admin.api.get("/api/admin/deliveries", params={"direction": "in"}).json()["data"]["deliveries"]
    assert (shown[0]["address"], shown[0]["httpStatus"]) == (ONE, 401)
    assert admin.api.get("/api/admin/deliveries", params={"videoId": generating}).json()["data"][
        "deliveries"
    ] == [shown_of_order(admin, generating)]


def test_a_flood_from_one_address_hardly_writes_at_all(flood: Flood) -> None:
    flood([ONE] * 60)
    assert len(refused()) == 10


def test_all_networks_of_one_ipv6_customer_share_one_bound(flood: Flood, configure: Configure) -> None:
    configure(RATE_LIMITS="off")
    flood([f"2001:db8:7:{number:x}::1" for number in range(40)])
    rows = refused()
    assert {row.address for row in rows} == {"2001:db8:7::/48"}
    assert len(rows) == webhook_log.MAX_CALLS_PER_NETWORK


def test_somebody_elses_video_gets_no_history_by_a_real_account(
    bob: Person, ada: Person, generating: str
) -> None:
    assert report(bob.api, ada, generating, "failed").status_code == 403
    own_name = {"userId": bob.user_id, "videoId": generating, "status": "failed"}
    assert bob.api.put(STATUS, json=own_name).status_code == 404
    assert [row.video_id for row in refused()] == [None, None]


def test_a_report_that_its_own_generator_garbles_is_in_the_videos_history(
    generating: str, generator: Generator, make_client: MakeClient
) -> None:
    """Else nobody would see what a generator sends that cannot be read."""
    proven = make_client(headers={"Authorization": f"Bearer {generator.requests[0]['callbackToken']}"})
    headers = {"Content-Type": "application/json"}
    for content in (b"{broken", b'{"videoId": "the generators own", "status": "odd"}'):
        assert proven.put(STATUS, content=content, headers=headers).status_code == 400
    assert [(row.video_id, row.address) for row in refused("unread")] == [(generating, "")] * 2


@pytest.mark.usefixtures("generating")
def test_a_forged_token_makes_no_history(make_client: MakeClient) -> None:
    forged = make_client(headers={"Authorization": "Bearer WyJ2aWRlb18xIiwieCJd.aaaaaa.bbbbbbbb"})
    assert forged.put(STATUS, content=b"{broken", headers={"Content-Type": "application/json"}).is_error
    assert [row.video_id for row in refused()] == [None]


def test_the_history_of_a_video_is_bounded_too(
    ada: Person,
    generating: str,
    generator: Generator,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook_log, "MAX_CALLS_PER_VIDEO", 5)
    proven = make_client(headers={"Authorization": f"Bearer {generator.requests[0]['callbackToken']}"})
    for _ in range(8):
        assert report(proven, ada, generating, "processing").status_code == 200
    with reading() as session:
        kept = session.exec(select(WebhookCall.id).where(WebhookCall.video_id == generating)).all()
    assert len(kept) == 5


def refused(verdict: str = "refused") -> list[WebhookCall]:
    """What arrived and was refused, or was not understood, oldest first."""
    with reading() as session:
        wanted = select(WebhookCall).where(WebhookCall.direction == "in", WebhookCall.verdict == verdict)
        return list(session.exec(wanted.order_by("id")))


def shown_of_order(admin: Person, video_id: str) -> dict[str, object]:
    """The one call in the video's history: ours to the generator."""
    answer: httpx.Response = admin.api.get(
        "/api/admin/deliveries", params={"direction": "out", "videoId": video_id}
    )
    (kept,) = answer.json()["data"]["deliveries"]
    return dict(kept)
