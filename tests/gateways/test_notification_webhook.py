"""Notifications are signed and identifiable; the receiver's status code decides about a retry."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from standardwebhooks import Webhook

from tests.support.app import free_port
from tests.support.receiver import SECRET, Receiver, receiver
from videovault.errors import WebhookError
from videovault.gateways.notifications import NotifyWebhook

MESSAGE = {"type": "video.ready", "timestamp": "2026-01-26T10:15:00.000Z", "data": {"title": "Größe"}}


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def deliver(url: str, *, secret: str = "", timeout: float = 5) -> None:
    with httpx.Client(timeout=timeout) as client:
        NotifyWebhook(client, url=url, secret=secret).deliver("msg_1", MESSAGE)


def refusal(url: str, timeout: float = 5) -> WebhookError:
    with pytest.raises(WebhookError) as caught:
        deliver(url, timeout=timeout)
    return caught.value


def test_a_notification_is_signed_by_standard_webhooks(endpoint: Receiver) -> None:
    deliver(endpoint.url, secret=SECRET)
    [delivery] = endpoint.deliveries
    assert Webhook(SECRET).verify(delivery.body, delivery.headers) == MESSAGE
    assert delivery.headers["webhook-id"] == "msg_1"
    assert delivery.headers["content-type"] == "application/json"


def test_without_a_secret_a_notification_has_id_and_time(endpoint: Receiver) -> None:
    deliver(endpoint.url)
    [delivery] = endpoint.deliveries
    assert json.loads(delivery.body) == MESSAGE
    assert delivery.headers["webhook-id"] == "msg_1"
    assert delivery.headers["webhook-timestamp"].isdigit()
    assert "webhook-signature" not in delivery.headers


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_is_success(endpoint: Receiver, status: int) -> None:
    endpoint.status = status
    deliver(endpoint.url)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_a_refused_notification_is_not_retryable(endpoint: Receiver, status: int) -> None:
    endpoint.status = status
    error = refusal(endpoint.url)
    assert not error.retryable
    assert str(status) in error.public_message


@pytest.mark.parametrize("status", [301, 307, 408, 409, 425, 429, 500, 503])
def test_a_busy_receiver_is_retryable(endpoint: Receiver, status: int) -> None:
    endpoint.status = status
    assert refusal(endpoint.url).retryable
    assert len(endpoint.deliveries) == 1  # nor is a redirect followed


def test_a_silent_receiver_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert refusal(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2).retryable


def test_an_unreachable_receiver_is_retryable() -> None:
    assert refusal(f"http://127.0.0.1:{free_port()}").retryable
