"""Reverse proxies are believed if the settings name them; what browsers write themselves never is."""

import pytest
from starlette.datastructures import Headers
from starlette.types import Scope

from tests.support.installation import Configure
from videovault.api.middleware.forwarded import apply_forwarded_headers, client_address


def request(peer: str, *headers: tuple[str, str], kind: str = "http") -> Scope:
    raw = [(b"host", b"inside:3000"), *((name.encode(), value.encode()) for name, value in headers)]
    return {"type": kind, "client": (peer, 1234), "scheme": kind.replace("websocket", "ws"), "headers": raw}


def told(forwarded: str) -> tuple[tuple[str, str], ...]:
    return (
        ("x-forwarded-for", forwarded),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "videos.example.com"),
    )


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_proxy_on_the_same_machine_is_believed_from_the_start(kind: str, configure: Configure) -> None:
    configure()
    scope = apply_forwarded_headers(request("127.0.0.1", *told("203.0.113.7"), kind=kind))
    assert client_address(scope) == "203.0.113.7"
    assert scope["scheme"] == {"http": "https", "websocket": "wss"}[kind]
    assert Headers(scope=scope).getlist("host") == ["videos.example.com"]


@pytest.mark.parametrize(("allowed", "peer"), [("127.0.0.1,::1", "203.0.113.9"), ("none", "127.0.0.1")])
def test_nobody_else_is_believed(configure: Configure, allowed: str, peer: str) -> None:
    configure(FORWARDED_ALLOW_IPS=allowed)
    scope = request(peer, *told("198.51.100.1"))
    assert apply_forwarded_headers(scope) is scope
    assert client_address(scope) == peer


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
def test_the_last_address_that_is_no_proxy_of_ours_counts(
    configure: Configure, forwarded: str, address: str
) -> None:
    configure(FORWARDED_ALLOW_IPS="10.0.0.0/8")
    assert client_address(apply_forwarded_headers(request("10.0.0.2", *told(forwarded)))) == address


def test_several_forwarding_headers_are_read_as_one(configure: Configure) -> None:
    configure(FORWARDED_ALLOW_IPS="*")
    scope = request("10.0.0.2", ("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "ftp"))
    assert client_address(apply_forwarded_headers(scope)) == "203.0.113.7"
    assert apply_forwarded_headers(scope)["scheme"] == "http"
    configure(FORWARDED_ALLOW_IPS="10.0.0.2")
    twice = request("10.0.0.2", ("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.7"))
    assert client_address(apply_forwarded_headers(twice)) == "203.0.113.7"


def test_whoever_has_a_whole_ipv6_network_is_counted_as_one() -> None:
    addresses = {client_address(request(f"2001:db8:1:2::{number:x}")) for number in range(5)}
    assert addresses == {"2001:db8:1:2::/64"}
    assert client_address({"type": "http"}) == ""
