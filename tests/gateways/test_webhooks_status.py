"""A status URL is polled only if it is safe, and only a 2xx response is a status."""

import gzip
import json

import httpx
import pytest

from tests.support.installation import Configure
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from videovault.errors import UnsafeUrl, WebhookBusy
from videovault.gateways import webhooks
from videovault.gateways.ssrf import AddressGuard
from videovault.gateways.webhook_reply import VideoReply
from videovault.gateways.webhooks import Exchange, StatusClient

WHERE = "https://generator.example/jobs/1"
URL = "https://cdn.example/video.mp4"


def client_with(status: int = 200, body: bytes = b"{}", **headers: str) -> StatusClient:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=sent, stream=httpx.ByteStream(body))

    return StatusClient(AddressGuard(frozenset()), httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"status": "ready", "videoUrl": URL}, VideoReply("ready", video_url=URL)),
        ([{"data": {"video_url": URL}}], VideoReply("ready", video_url=URL)),
        ({"status": "processing", "estimated_time": "20"}, VideoReply("processing", estimated_minutes=20)),
        ({"status": "rejected", "message": "No."}, VideoReply("rejected", message="No.")),
        ("processing", VideoReply("processing")),
    ],
)
def test_statuses_are_parsed_like_webhook_replies(body: object, expected: VideoReply) -> None:
    exchanges: list[Exchange] = []
    status = client_with(body=json.dumps(body).encode()).poll(WHERE, record=exchanges.append)
    assert status.reply == expected
    assert json.loads(exchanges[0].answer) == body


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
def test_any_status_code_except_2xx_is_an_error(status: int) -> None:
    with pytest.raises(WebhookBusy) as caught:
        client_with(status, b'{"status": "failed"}', retry_after="40").poll(WHERE)
    assert caught.value.retry_after == 40


def test_retry_after_is_returned() -> None:
    assert client_with(202, retry_after="40").poll(WHERE).retry_after == 40
    assert client_with(202).poll(WHERE).retry_after is None


@pytest.mark.parametrize(
    "body", [b"x" * (2 * 1024 * 1024), b'{"videoUrl": "nonsense"}', b"working on it", b"<html></html>"]
)
def test_an_unusable_status_is_unread(body: bytes) -> None:
    assert client_with(body=body).poll(WHERE).reply.state == "unread"


def test_a_status_url_that_returns_the_video_is_its_url() -> None:
    film = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 2_000_000
    assert client_with(body=film).poll(WHERE).reply == VideoReply("ready", video_url=WHERE)


OUTCOME = "https://generator.example/jobs/1/response"
FINISHED = {"status": "COMPLETED", "response_url": OUTCOME}


@pytest.mark.parametrize(
    ("body", "status", "outcome", "expected"),
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
def test_the_response_url_of_a_finished_render_is_polled_once(
    body: object, status: int, outcome: object, expected: VideoReply | None
) -> None:
    requested: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requested.append(str(request.url))
        content = json.dumps(outcome if requested[1:] else body).encode()
        return httpx.Response(status if requested[1:] else 200, stream=httpx.ByteStream(content))

    client = StatusClient(AddressGuard(frozenset()), httpx.MockTransport(answer))
    if expected is None:
        with pytest.raises(WebhookBusy):
            client.poll(WHERE)
    else:
        assert client.poll(WHERE).reply == expected
    assert requested == ([WHERE] if status == 404 else [WHERE, OUTCOME])


@pytest.mark.parametrize(
    "where", ["https://other.example/r", "http://generator.example/r", "https://generator.example:8/r", WHERE]
)
def test_a_response_url_of_another_origin_is_not_polled(where: str) -> None:
    requested: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requested.append(str(request.url))
        body = {"status": "COMPLETED", "response_url": where}
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(body).encode()))

    assert (
        StatusClient(AddressGuard(frozenset()), httpx.MockTransport(answer)).poll(WHERE).reply.state
        == "ready"
    )
    assert requested == [WHERE]


def test_a_compressed_response_is_not_decompressed() -> None:
    packed = gzip.compress(b'{"videoUrl": "https://cdn.example/video.mp4"}')
    assert client_with(body=packed, content_encoding="gzip").poll(WHERE).reply.state == "unread"


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/s", "http://localhost/s", "ftp://generator.example/s", "http://[::1]/s", "nonsense"],
)
def test_a_private_address_is_not_polled(url: str) -> None:
    with pytest.raises(UnsafeUrl):
        client_with().check(url)
    with pytest.raises(UnsafeUrl):
        client_with().poll(url)


def test_only_the_webhooks_own_host_and_port_may_be_polled(configure: Configure) -> None:
    behaviour = ServerBehaviour(
        body=b'{"status": "processing"}', content_type="application/json", ranges=False
    )
    with MisbehavingServer() as server, MisbehavingServer() as other:
        configure(VIDEO_WEBHOOK_URL=f"{server.origin}/video")
        url = server.serve("/status/1", behaviour)
        assert webhooks.status_client_for_generator().poll(url).reply == VideoReply("processing")
        with pytest.raises(UnsafeUrl):
            webhooks.status_client_for_generator().poll(other.serve("/status/1", behaviour))


def test_a_response_that_never_ends_is_an_error(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "STATUS_SECONDS", 0.3)
    with MisbehavingServer() as server:
        configure(VIDEO_WEBHOOK_URL=f"{server.origin}/video")
        url = server.serve("/status/1", ServerBehaviour(size=1000, drip=(1, 0.05)))
        with pytest.raises(WebhookBusy):
            webhooks.status_client_for_generator().poll(url)


def test_webhook_headers_are_sent_only_to_the_webhooks_host_and_port(configure: Configure) -> None:
    behaviour = ServerBehaviour(
        body=b'{"status": "processing"}', content_type="application/json", ranges=False
    )
    exchanges: list[Exchange] = []
    with MisbehavingServer() as server, MisbehavingServer() as other:
        configure(
            VIDEO_WEBHOOK_URL=f"{server.origin}/video",
            SOURCE_ALLOW_HOSTS=f"127.0.0.1:{other.port}",
            WEBHOOK_HEADERS='{"X-Api-Key": "my-generator-key", "User-Agent": "Acme"}',
        )
        for each in (server, other):
            webhooks.status_client_for_generator().poll(
                each.serve("/status/1", behaviour), record=exchanges.append
            )
        own, foreign = server.seen("/status/1")[0].headers, other.seen("/status/1")[0].headers
    assert (own["x-api-key"], own["user-agent"]) == ("my-generator-key", "Acme")
    assert "x-api-key" not in foreign
    assert foreign["user-agent"] == "VideoVault"
    assert "my-generator-key" not in repr(exchanges)
