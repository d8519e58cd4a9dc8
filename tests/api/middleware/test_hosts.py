"""The Host check, and forwarded headers, which are applied from trusted proxies only."""

import asyncio

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from tests.api.requests import code
from tests.support.installation import Configure
from tests.support.people import MakeClient
from videovault.api.middleware.hosts import apply_forwarded_headers, limit_key
from videovault.api.middleware.stack import wrap_in_middleware

pytestmark = pytest.mark.usefixtures("installation")

OWN = (
    "localhost:3000",
    "videovault",
    "127.0.0.1:3000",
    "192.168.1.7",
    "[::1]:3000",
    "[2001:db8::7]",
    "app.localhost",
    "studio.local:3000",
    "videos.example.com",
    "VIDEOS.example.com.:443",
)
FOREIGN = (
    "evil.example",
    "videos.example.com.evil.example",
    "other.example.com",
    "127.0.0.1.evil.example",
    "evil.example:3000",
    "localhost.evil.example",
    "[::1",
)


@pytest.fixture
def client(configure: Configure, make_client: MakeClient) -> httpx.Client:
    configure(PUBLIC_URL="https://videos.example.com")
    return make_client()


@pytest.mark.parametrize("host", OWN)
def test_own_and_local_host_names_are_accepted(client: httpx.Client, host: str) -> None:
    assert client.get("/api/auth/me", headers={"Host": host}).status_code == 401


@pytest.mark.parametrize("host", FOREIGN)
def test_other_host_names_are_421_and_name_the_setting(client: httpx.Client, host: str) -> None:
    for path in ("/", "/api/share/video_1_a/download?key=x", "/videovault/a.mp4"):
        answer = client.get(path, headers={"Host": host})
        assert code(answer) == (421, "UNKNOWN_HOST")
        assert "PUBLIC_URL" in answer.json()["message"]
        assert host not in answer.text


def test_a_trusted_proxys_host_is_checked(client: httpx.Client) -> None:
    headers = {"Host": "videovault:3000", "X-Forwarded-Host": "evil.example"}
    assert client.get("/api/auth/me", headers=headers).status_code == 421
    headers = {"Host": "evil.example", "X-Forwarded-Host": "videos.example.com"}
    assert client.get("/api/auth/me", headers=headers).status_code == 401


def test_the_health_check_accepts_any_host_name(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 200


def test_unknown_hosts_are_never_redirected(client: httpx.Client) -> None:
    for path in ("/healthz/", "/api/auth/me/", "/api/docs/"):
        answer = client.get(path, headers={"Host": "evil.example"})
        assert (answer.status_code, "location" in answer.headers) == (421, False)


def test_without_public_url_public_names_are_refused(make_client: MakeClient) -> None:
    assert make_client().get("/api/auth/me", headers={"Host": "videos.example.com"}).status_code == 421


def test_the_embedded_s3_may_have_its_own_host_name(configure: Configure, make_client: MakeClient) -> None:
    configure(S3_PUBLIC_ENDPOINT_URL="https://files.example.com")
    assert make_client().get("/api/auth/me", headers={"Host": "files.example.com"}).status_code == 401


@pytest.mark.parametrize(("host", "types"), [(b"localhost", []), (b"evil.example", ["websocket.close"])])
def test_websockets_need_an_own_host_name(host: bytes, types: list[str]) -> None:
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        """Accepts the handshake by doing nothing."""

    async def connect() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", host), (b"origin", b"http://" + host)]
    scope = {"type": "websocket", "path": "/_event", "headers": headers, "scheme": "ws", "query_string": b""}

    async def opened() -> None:
        await wrap_in_middleware(app)(scope, connect, send)

    asyncio.run(opened())
    assert [message["type"] for message in sent] == types


def test_the_callback_urls_host_name_is_accepted(configure: Configure, make_client: MakeClient) -> None:
    configure(PUBLIC_URL="https://videos.example.com", CALLBACK_URL="http://Host.docker.internal:3000/")
    client = make_client()
    for host in ("host.docker.internal:3000", "HOST.docker.internal", "videos.example.com"):
        assert client.get("/api/auth/me", headers={"Host": host}).status_code == 401
    assert client.get("/api/auth/me", headers={"Host": "other.docker.internal"}).status_code == 421


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
