"""Replies are parsed leniently, because people connect webhooks by hand; a render that began never counts as failed."""

import gzip
import json
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.support.generator import refusing_port, running_generator
from tests.support.installation import Configure
from tests.support.waiting import HANG_SECONDS
from videovault.config import settings
from videovault.errors import WebhookBusy, WebhookError, WebhookUnanswered
from videovault.gateways import webhooks
from videovault.gateways.webhook_reply import VideoReply
from videovault.gateways.webhooks import Exchange, Webhooks

URL = "https://cdn.example/video.mp4"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def reply_to(status: int = 200, body: Any = None, *, text: str | None = None) -> VideoReply:
    content = text.encode() if text is not None else json.dumps(body).encode()
    return webhooks_with(lambda _: httpx.Response(status, content=content)).generate(
        {}, idempotency_key="v:1"
    )


def webhooks_with(handler: Any, secret: str = "") -> Webhooks:
    client = httpx.Client(transport=httpx.MockTransport(handler))
    script, video = "https://hooks.example/script", "https://hooks.example/video"
    return Webhooks(client, script_url=script, video_url=video, secret=secret, backoff=0)


@pytest.mark.parametrize(
    "body",
    [
        {"videoUrl": URL},
        {"video_url": URL},
        {"url": URL},
        {"data": {"videoUrl": URL}},
        [{"videoUrl": URL}],
        {"videoUrl": URL, "status": "ready", "estimatedTime": "soon"},
        {"videoUrl": URL, "status": None},
    ],
)
def test_a_url_under_any_known_name_is_the_video(body: Any) -> None:
    assert reply_to(body=body) == VideoReply("ready", video_url=URL)


@pytest.mark.parametrize(
    ("body", "minutes"),
    [
        ({"status": "processing", "estimatedTime": 15}, 15),
        ({"estimated_time": "7.5"}, 7.5),
        ({"estimatedTime": "15 minutes"}, 15),
        ({"estimatedTime": 0}, None),
        ({"estimatedTime": "soon"}, None),
        ({"estimatedTime": 1e9}, None),
        ({"status": None}, None),
        ({}, None),
        ([], None),
        ("started", None),
        (None, None),
    ],
)
def test_a_2xx_acknowledgement_means_processing(body: Any, minutes: float | None) -> None:
    assert reply_to(body=body) == VideoReply("processing", estimated_minutes=minutes)


@pytest.mark.parametrize("text", ["<html>ok</html>", '{"broken', '[{"a": 1}, {"b": 2}]', "x" * 2**21])
def test_an_unreadable_reply_is_not_a_failure(text: str) -> None:
    assert reply_to(text=text).state == "unread"


def test_a_url_announced_while_processing_is_kept() -> None:
    reply = {"videoUrl": URL, "status": "processing"}
    assert reply_to(body=reply) == VideoReply("processing", video_url=URL)


@pytest.mark.parametrize("name", ["statusUrl", "status_url"])
def test_a_status_url_is_found_under_either_name(name: str) -> None:
    where = "https://generator.example/jobs/1"
    assert reply_to(202, {"data": {name: where}}) == VideoReply("processing", status_url=where)
    both = VideoReply("ready", video_url=URL, status_url=where)
    assert reply_to(body={"videoUrl": URL, name: where}) == both
    assert reply_to(body={name: "jobs/1"}).state == "unread"


@pytest.mark.parametrize("status", ["failed", "FAILED", "error", "canceled"])
def test_a_failure_keeps_the_generators_message(status: str) -> None:
    reply = reply_to(body={"status": status, "error": {"message": "No\x00 voice\ud800"}})
    assert reply == VideoReply("failed", message="No  voice")


def test_a_rejection_is_not_a_failure() -> None:
    reply = {"status": "rejected", "message": "No swearing."}
    assert reply_to(body=reply) == VideoReply("rejected", message="No swearing.")
    assert reply_to(400, reply) == VideoReply("rejected", message="No swearing.")


def test_a_4xx_is_a_failure_with_its_message() -> None:
    assert reply_to(402, {"message": "Out of credits"}) == VideoReply("failed", message="Out of credits")
    assert reply_to(404, text="nothing").state == "failed"


@pytest.mark.parametrize("url", [5, "http://[", "ftp://a/b.mp4", "video.mp4", "https://"])
def test_an_invalid_url_is_dropped(url: Any) -> None:
    assert reply_to(body={"videoUrl": url}).state == "unread"


def test_a_redirect_is_explained_and_not_followed() -> None:
    with pytest.raises(WebhookError, match="leads to another one"):
        reply_to(301, {})


@pytest.mark.parametrize(("status", "packed"), [(200, False), (201, True), (500, False)])
def test_a_body_that_is_a_video_is_passed_on_in_chunks(status: int, mp4: bytes, *, packed: bool) -> None:
    body = gzip.compress(mp4) if packed else mp4
    headers = {"content-length": str(len(body)), **({"content-encoding": "gzip"} if packed else {})}
    exchanges: list[Exchange] = []
    kept: list[tuple[bytes, int | None]] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, content=iter([body[:100], body[100:]]))

    def order() -> VideoReply:
        return webhooks_with(answer).generate(
            {},
            idempotency_key="v:1",
            record=exchanges.append,
            keep=lambda pieces, length: kept.append((b"".join(pieces), length)),
        )

    if status == 500:
        with pytest.raises(WebhookUnanswered):
            order()
        assert kept == []
        return
    assert order() == VideoReply("ready", is_video=True)
    assert kept == [(mp4, None if packed else len(mp4))]
    assert exchanges[0].answer == mp4[:4096]


def test_an_endless_response_is_cut_off() -> None:
    pieces = iter(lambda: b" " * 65536, b"")
    assert (
        webhooks_with(lambda _: httpx.Response(200, content=pieces)).generate({}, idempotency_key="v:1").state
        == "unread"
    )


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("refused, or the name is not known, or TLS failed"),
        httpx.ConnectTimeout("slow"),
        httpx.ProxyError("502"),
        httpx.UnsupportedProtocol("ftp"),
    ],
)
def test_only_unsent_orders_are_repeated_three_times(fault: httpx.HTTPError) -> None:
    tries = []

    def refuse(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        raise fault

    with pytest.raises(WebhookError) as caught:
        webhooks_with(refuse).generate({}, idempotency_key="v:1")
    assert len(tries) == 1 + 3
    assert not isinstance(caught.value, WebhookUnanswered)


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 507, 520, 521, 522, 523, 524, 525, 529, 408])
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "1"}])
def test_an_error_after_the_render_may_have_begun_is_unanswered(status: int, headers: dict[str, str]) -> None:
    tries = []

    def fail(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        return httpx.Response(status, headers=headers)

    expected = WebhookBusy if (status, bool(headers)) == (503, True) else WebhookUnanswered
    with pytest.raises(WebhookError) as caught:
        webhooks_with(fail).generate({}, idempotency_key="v:1")
    assert (type(caught.value), len(tries)) == (expected, 1)


@pytest.mark.parametrize(("status", "tries"), [(500, 4), (503, 4), (404, 1)])
def test_the_script_webhook_is_free_so_it_is_retried(status: int, tries: int) -> None:
    requests = []

    def fail(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(status)

    with pytest.raises(WebhookError, match="service"):
        webhooks_with(fail).write_script({})
    assert len(requests) == tries


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(429, {"Retry-After": "30"}, 30), (429, {}, None), (503, {"Retry-After": "5"}, 5)],
)
def test_a_busy_webhook_is_not_retried_immediately(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    tries = []

    def busy(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        return httpx.Response(status, headers=headers)

    with pytest.raises(WebhookBusy) as caught:
        webhooks_with(busy).generate({}, idempotency_key="v:1")
    assert (len(tries), caught.value.retry_after) == (1, seconds)


def test_every_call_is_recorded_including_failed_ones() -> None:
    answers: list[Any] = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), 200]

    def answer(_request: httpx.Request) -> httpx.Response:
        reply = answers.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply, json={"videoUrl": URL})

    exchanges: list[Exchange] = []
    webhooks_with(answer, SECRET).generate({"hook": "Look"}, idempotency_key="v:1", record=exchanges.append)
    assert [exchange.status for exchange in exchanges] == [None, None, 200]
    assert "refused" in exchanges[0].fault
    assert json.loads(exchanges[2].body) == {"hook": "Look"}
    assert exchanges[2].headers["Idempotency-Key"] == "v:1"
    assert json.loads(exchanges[2].answer) == {"videoUrl": URL}


@pytest.mark.parametrize(
    "fault", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut"), httpx.ReadError("reset")]
)
def test_an_order_that_may_have_arrived_is_sent_once(fault: httpx.HTTPError) -> None:
    tries = []

    def lose(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        raise fault

    with pytest.raises(WebhookUnanswered):
        webhooks_with(lose).generate({}, idempotency_key="v:1")
    assert len(tries) == 1


def test_calls_are_signed_by_standard_webhooks() -> None:
    seen: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"videoUrl": URL})

    webhooks_with(note, SECRET).generate({"hook": "Größe"}, idempotency_key="v:1")
    request = seen[0]
    assert Webhook(SECRET).verify(request.content, dict(request.headers)) == {"hook": "Größe"}
    assert request.headers["Idempotency-Key"] == "v:1"


def test_without_a_secret_nothing_is_signed() -> None:
    seen: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    webhooks_with(note).generate({}, idempotency_key="v:1")
    assert "webhook-signature" not in seen[0].headers


def test_a_failed_connection_is_not_an_order() -> None:
    """With the real client: an unknown host, a closed port, and a port without TLS."""
    with refusing_port() as refusing, running_generator(b"") as plain:
        urls = [
            "http://generator.invalid/video",
            f"http://127.0.0.1:{refusing}/video",
            f"{plain.url.replace('http:', 'https:')}/video",
        ]
        for url in urls:
            exchanges: list[Exchange] = []
            with httpx.Client(timeout=HANG_SECONDS, trust_env=False) as client:
                webhooks = Webhooks(client, script_url=url, video_url=url, backoff=0)
                with pytest.raises(WebhookError) as caught:
                    webhooks.generate({}, idempotency_key="v:1", record=exchanges.append)
            assert not isinstance(caught.value, WebhookUnanswered), url
            assert len(exchanges) == 1 + 3, url
        assert plain.requests == []


def test_webhook_headers_are_sent_and_only_their_names_recorded(
    configure: Configure,
) -> None:
    script, video = "https://hooks.example/script", "https://hooks.example/video"
    configure(
        SCRIPT_WEBHOOK_URL=script,
        VIDEO_WEBHOOK_URL=video,
        WEBHOOK_HEADERS='{"X-Api-Key": "my-generator-key", "User-Agent": "Acme"}',
    )
    seen: list[Exchange] = []
    got: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        got.append(request)
        return httpx.Response(200, json={"hook": "a"})

    client = httpx.Client(transport=httpx.MockTransport(answer))
    headers = webhooks._extra_headers()
    hooks = Webhooks(client, script_url=script, video_url=video, secret=SECRET, headers=headers, backoff=0)
    hooks.write_script({}, record=seen.append)
    hooks.generate({}, idempotency_key="v:1", record=seen.append)
    for request in got:
        sent = request.headers
        assert (sent["x-api-key"], sent["user-agent"]) == ("my-generator-key", "Acme")
        assert (sent["content-type"], "webhook-signature" in sent) == ("application/json", True)
    assert got[1].headers["idempotency-key"] == "v:1"
    assert [exchange.headers["X-Api-Key"] for exchange in seen] == ["…", "…"]
    assert "my-generator-key" not in repr(seen)


def test_the_studio_gets_its_key_but_no_webhook_headers(configure: Configure) -> None:
    configure(
        VIDEO_WEBHOOK_URL="https://hooks.example/video", WEBHOOK_HEADERS='{"Authorization": "Bearer x"}'
    )
    own = webhooks._extra_headers()
    key = settings().installation.studio_key
    assert own[settings().script_webhook] == {"Authorization": f"Bearer {key}"}
    assert own["https://hooks.example/video"] == {"Authorization": "Bearer x"}


def test_a_key_echoed_by_the_service_is_masked() -> None:
    refused = httpx.Response(401, json={"message": "The key my-generator-key is unknown."})
    client = httpx.Client(transport=httpx.MockTransport(lambda _: refused))
    url = "https://hooks.example/script"
    headers = {url: {"X-Api-Key": "my-generator-key"}}
    hooks = Webhooks(client, script_url=url, video_url="", headers=headers, backoff=0)
    with pytest.raises(WebhookError) as caught:
        hooks.write_script({})
    assert caught.value.public_message == "The script service refused the brief. The key … is unknown."
