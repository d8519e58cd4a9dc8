"""Only by a name of its own is the installation reached: other sites' pages cannot make themselves its own."""

import asyncio

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.api.requests import code
from tests.support.installation import Configure
from tests.support.people import MakeClient
from videovault.api.middleware.stack import wrap_in_middleware

pytestmark = pytest.mark.usefixtures("installation")

OURS = (
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


@pytest.mark.parametrize("host", OURS)
def test_addresses_and_names_that_only_we_can_have_are_ours(client: httpx.Client, host: str) -> None:
    assert client.get("/api/auth/me", headers={"Host": host}).status_code == 401


@pytest.mark.parametrize("host", FOREIGN)
def test_any_other_name_is_told_what_to_set(client: httpx.Client, host: str) -> None:
    for path in ("/", "/api/share/video_1_a/download?key=x", "/videovault/a.mp4"):
        answer = client.get(path, headers={"Host": host})
        assert code(answer) == (421, "UNKNOWN_HOST")
        assert "PUBLIC_URL" in answer.json()["message"]
        assert host not in answer.text


def test_what_a_proxy_says_counts_as_the_host(client: httpx.Client) -> None:
    told = {"Host": "videovault:3000", "X-Forwarded-Host": "evil.example"}
    assert client.get("/api/auth/me", headers=told).status_code == 421
    told = {"Host": "evil.example", "X-Forwarded-Host": "videos.example.com"}
    assert client.get("/api/auth/me", headers=told).status_code == 401


def test_whoever_asks_whether_it_is_alive_may_call_it_anything(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 200


def test_no_redirect_leads_to_a_foreign_name(client: httpx.Client) -> None:
    for path in ("/healthz/", "/api/auth/me/", "/api/docs/"):
        answer = client.get(path, headers={"Host": "evil.example"})
        assert (answer.status_code, "location" in answer.headers) == (421, False)


def test_without_a_public_address_no_public_name_is_ours(make_client: MakeClient) -> None:
    assert make_client().get("/api/auth/me", headers={"Host": "videos.example.com"}).status_code == 421


def test_links_to_the_embedded_s3_may_have_a_name_of_their_own(
    configure: Configure, make_client: MakeClient
) -> None:
    configure(S3_PUBLIC_ENDPOINT_URL="https://files.example.com")
    assert make_client().get("/api/auth/me", headers={"Host": "files.example.com"}).status_code == 401


@pytest.mark.parametrize(("host", "kinds"), [(b"localhost", []), (b"evil.example", ["websocket.close"])])
def test_a_websocket_is_opened_by_a_name_of_ours_only(host: bytes, kinds: list[str]) -> None:
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        """Would go on with the handshake."""

    async def connect() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", host), (b"origin", b"http://" + host)]
    scope = {"type": "websocket", "path": "/_event", "headers": headers, "scheme": "ws", "query_string": b""}

    async def opened() -> None:
        await wrap_in_middleware(app)(scope, connect, send)

    asyncio.run(opened())
    assert [message["type"] for message in sent] == kinds


def test_the_name_that_only_generators_use_is_ours_too(configure: Configure, make_client: MakeClient) -> None:
    configure(PUBLIC_URL="https://videos.example.com", CALLBACK_URL="http://Host.docker.internal:3000/")
    client = make_client()
    for host in ("host.docker.internal:3000", "HOST.docker.internal", "videos.example.com"):
        assert client.get("/api/auth/me", headers={"Host": host}).status_code == 401
    assert client.get("/api/auth/me", headers={"Host": "other.docker.internal"}).status_code == 421
