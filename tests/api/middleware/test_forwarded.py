"""Forwarded headers are applied from trusted proxies only."""

import pytest
from starlette.datastructures import Headers
from starlette.types import Scope

from tests.support.installation import Configure
from videovault.api.middleware.hosts import apply_forwarded_headers, limit_key


def request(peer: str, *headers: tuple[str, str], kind: str = "http") -> Scope:
    raw = [(b"host", b"inside:3000"), *((name.encode(), value.encode()) for name, value in headers)]
    return {"type": kind, "client": (peer, 1234), "scheme": kind.replace("websocket", "ws"), "headers": raw}


def forwarded_headers(forwarded: str) -> tuple[tuple[str, str], ...]:
    return (
        ("x-forwarded-for", forwarded),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "videos.example.com"),
    )


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_proxy_on_the_same_machine_is_trusted_by_default(kind: str, configure: Configure) -> None:
    configure()
    scope = apply_forwarded_headers(request("127.0.0.1", *forwarded_headers("203.0.113.7"), kind=kind))
    assert limit_key(scope) == "203.0.113.7"
    assert scope["scheme"] == {"http": "https", "websocket": "wss"}[kind]
    assert Headers(scope=scope).getlist("host") == ["videos.example.com"]


@pytest.mark.parametrize(("allowed", "peer"), [("127.0.0.1,::1", "203.0.113.9"), ("none", "127.0.0.1")])
def test_other_clients_are_not_trusted(configure: Configure, allowed: str, peer: str) -> None:
    configure(FORWARDED_ALLOW_IPS=allowed)
    scope = request(peer, *forwarded_headers("198.51.100.1"))
    assert apply_forwarded_headers(scope) is scope
    assert limit_key(scope) == peer


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ("203.0.113.7, nonsense", "10.0.0.2"),
        ("", "10.0.0.2"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_the_last_untrusted_address_is_the_client(configure: Configure, forwarded: str, address: str) -> None:
    configure(FORWARDED_ALLOW_IPS="10.0.0.0/8")
    assert limit_key(apply_forwarded_headers(request("10.0.0.2", *forwarded_headers(forwarded)))) == address


def test_repeated_forwarded_headers_are_joined(configure: Configure) -> None:
    configure(FORWARDED_ALLOW_IPS="*")
    scope = request("10.0.0.2", ("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "ftp"))
    assert limit_key(apply_forwarded_headers(scope)) == "203.0.113.7"
    assert apply_forwarded_headers(scope)["scheme"] == "http"
    configure(FORWARDED_ALLOW_IPS="10.0.0.2")
    twice = request("10.0.0.2", ("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.7"))
    assert limit_key(apply_forwarded_headers(twice)) == "203.0.113.7"


def test_an_ipv6_network_has_one_limit_key() -> None:
    addresses = {limit_key(request(f"2001:db8:1:2::{number:x}")) for number in range(5)}
    assert addresses == {"2001:db8:1:2::/64"}
    assert limit_key({"type": "http"}) == ""
