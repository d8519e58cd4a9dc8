"""A status address is asked only where that is safe, and anything but an answer is no status."""

import gzip
import json

import httpx
import pytest

from tests.support.installation import Configure
from tests.support.misbehaving_server import Manners, NaughtyServer
from videovault.errors import UnsafeUrl, WebhookBusy
from videovault.gateways import status_client
from videovault.gateways.ssrf import AddressGuard
from videovault.gateways.status_client import StatusClient
from videovault.gateways.webhook_reply import VideoReply
from videovault.gateways.webhooks import Exchange

WHERE = "https://generator.example/jobs/1"
URL = "https://cdn.example/video.mp4"


def answering(status: int = 200, body: bytes = b"{}", **headers: str) -> StatusClient:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=sent, stream=httpx.ByteStream(body))

    return StatusClient(AddressGuard(frozenset()), httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"status": "ready", "videoUrl": URL}, VideoReply("ready", video_url=URL)),
        ([{"data": {"video_url": URL}}], VideoReply("ready", video_url=URL)),
        ({"status": "processing", "estimated_time": "20"}, VideoReply("processing", estimated_minutes=20)),
        ({"status": "rejected", "message": "No."}, VideoReply("rejected", message="No.")),
        ("processing", VideoReply("processing")),
    ],
)
def test_answers_are_read_as_leniently_as_the_webhooks(said: object, expected: VideoReply) -> None:
    heard: list[Exchange] = []
    status = answering(body=json.dumps(said).encode()).poll(WHERE, record=heard.append)
    assert status.reply == expected
    assert json.loads(heard[0].answer) == said


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
def test_anything_but_a_2xx_is_no_news(status: int) -> None:
    with pytest.raises(WebhookBusy) as caught:
        answering(status, b'{"status": "failed"}', retry_after="40").poll(WHERE)
    assert caught.value.retry_after == 40


def test_a_wish_to_be_asked_later_is_passed_on() -> None:
    assert answering(202, retry_after="40").poll(WHERE).retry_after == 40
    assert answering(202).poll(WHERE).retry_after is None


@pytest.mark.parametrize(
    "body", [b"x" * (2 * 1024 * 1024), b'{"videoUrl": "nonsense"}', b"working on it", b"<html></html>"]
)
def test_an_answer_that_is_no_use_is_said_not_to_be_understood(body: bytes) -> None:
    assert answering(body=body).poll(WHERE).reply.state == "unread"


def test_a_status_address_that_gives_the_video_itself_is_the_videos_address() -> None:
    film = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 2_000_000
    assert answering(body=film).poll(WHERE).reply == VideoReply("ready", video_url=WHERE)


OUTCOME = "https://generator.example/jobs/1/response"
FINISHED = {"status": "COMPLETED", "response_url": OUTCOME}


@pytest.mark.parametrize(
    ("said", "status", "outcome", "expected"),
    [
        (FINISHED, 200, {"video": {"url": URL}}, VideoReply("ready", video_url=URL)),
        (FINISHED, 200, {"status": "IN_PROGRESS"}, VideoReply("processing")),
        (FINISHED, 422, {"detail": "No credits."}, VideoReply("failed", message="No credits.")),
        (FINISHED, 503, {}, None),
        (FINISHED, 200, FINISHED, VideoReply("ready", response_url=OUTCOME)),
        ({**FINISHED, "video_url": URL}, 404, {}, VideoReply("ready", video_url=URL)),
        ({**FINISHED, "status": "IN_PROGRESS"}, 404, {}, VideoReply("processing")),
    ],
    ids=["video", "under way", "failed", "away", "no second hop", "has its address", "not finished"],
)
def test_a_finished_one_is_asked_once_for_its_outcome(
    said: object, status: int, outcome: object, expected: VideoReply | None
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        body = httpx.ByteStream(json.dumps(outcome if asked[1:] else said).encode())
        return httpx.Response(status if asked[1:] else 200, stream=body)

    statuses_of = StatusClient(AddressGuard(frozenset()), httpx.MockTransport(answer))
    if expected is None:
        with pytest.raises(WebhookBusy):
            statuses_of.poll(WHERE)
    else:
        assert statuses_of.poll(WHERE).reply == expected
    assert asked == ([WHERE] if status == 404 else [WHERE, OUTCOME])


@pytest.mark.parametrize(
    "where", ["https://other.example/r", "http://generator.example/r", "https://generator.example:8/r", WHERE]
)
def test_an_outcome_elsewhere_is_not_asked_for(where: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        said = {"status": "COMPLETED", "response_url": where}
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(said).encode()))

    assert (
        StatusClient(AddressGuard(frozenset()), httpx.MockTransport(answer)).poll(WHERE).reply.state
        == "ready"
    )
    assert asked == [WHERE]


def test_a_packed_answer_is_not_unpacked() -> None:
    packed = gzip.compress(b'{"videoUrl": "https://cdn.example/video.mp4"}')
    assert answering(body=packed, content_encoding="gzip").poll(WHERE).reply.state == "unread"


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/s", "http://localhost/s", "ftp://generator.example/s", "http://[::1]/s", "nonsense"],
)
def test_a_private_address_is_not_asked(url: str) -> None:
    with pytest.raises(UnsafeUrl):
        answering().check(url)
    with pytest.raises(UnsafeUrl):
        answering().poll(url)


def test_the_webhooks_own_host_and_port_may_be_asked_and_no_other_port(configure: Configure) -> None:
    manners = Manners(body=b'{"status": "processing"}', content_type="application/json", ranges=False)
    with NaughtyServer() as server, NaughtyServer() as other:
        configure(VIDEO_WEBHOOK_URL=f"{server.origin}/video")
        url = server.serve("/status/1", manners)
        assert status_client.connected().poll(url).reply == VideoReply("processing")
        with pytest.raises(UnsafeUrl):
            status_client.connected().poll(other.serve("/status/1", manners))


def test_an_answer_that_drips_for_ever_is_no_news(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_client, "TOTAL_SECONDS", 0.3)
    with NaughtyServer() as server:
        configure(VIDEO_WEBHOOK_URL=f"{server.origin}/video")
        url = server.serve("/status/1", Manners(size=1000, drip=(1, 0.05)))
        with pytest.raises(WebhookBusy):
            status_client.connected().poll(url)


def test_the_webhooks_headers_go_to_its_own_host_and_port_only(configure: Configure) -> None:
    manners = Manners(body=b'{"status": "processing"}', content_type="application/json", ranges=False)
    heard: list[Exchange] = []
    with NaughtyServer() as server, NaughtyServer() as other:
        configure(
            VIDEO_WEBHOOK_URL=f"{server.origin}/video",
            SOURCE_ALLOW_HOSTS=f"127.0.0.1:{other.port}",
            WEBHOOK_HEADERS='{"X-Api-Key": "my-generator-key", "User-Agent": "Acme"}',
        )
        for each in (server, other):
            status_client.connected().poll(each.serve("/status/1", manners), record=heard.append)
        own, foreign = server.seen("/status/1")[0].headers, other.seen("/status/1")[0].headers
    assert (own["x-api-key"], own["user-agent"]) == ("my-generator-key", "Acme")
    assert "x-api-key" not in foreign
    assert foreign["user-agent"] == "VideoVault"
    assert "my-generator-key" not in repr(heard)
