"""The studio's HTTP API: files as web servers serve them, and nothing for other processes of this machine."""

import hashlib
import io
import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av
import httpx
import pytest

from tests.embedded.studio.studio_process import (
    KEY,
    SHOWN,
    VIDEO,
    CallbackReceiver,
    Studio,
    callback_receiver,
    running_studio,
)
from tests.support.waiting import HANG_SECONDS, eventually

pytestmark = pytest.mark.process

KEYED = f"Authorization: Bearer {KEY}"
ORDER = json.dumps(VIDEO).encode()
IDEMPOTENCY_KEY = "video_1:1"


@dataclass(frozen=True)
class Rendered:
    """A video that a studio in direct mode rendered for ``attacker``; the studio is configured to call ``owner``."""

    studio: Studio
    url: str
    content: bytes
    etag: str
    data_dir: Path
    owner: CallbackReceiver
    attacker: CallbackReceiver

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.studio.port}"

    def raw(self, method: str, path: str, *headers: str, body: bytes = b"") -> int:
        """The status of the response to exactly these bytes; Content-Length and Connection are added."""
        lines = [f"{method} {path} HTTP/1.1", *headers, f"Content-Length: {len(body)}", "Connection: close"]
        with socket.create_connection(("127.0.0.1", self.studio.port), timeout=HANG_SECONDS) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            with connection.makefile("rb") as answer:
                return int(answer.readline().split()[1])

    def jobs(self) -> int:
        return len(list((self.data_dir / "jobs").iterdir()))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rendered]:
    data_dir = tmp_path_factory.mktemp("studio")
    with (
        callback_receiver() as owner,
        callback_receiver() as attacker,
        running_studio(data_dir, "--mode", "direct", "--delay", "0", "--callback", owner.url) as running,
    ):
        headers = {"Idempotency-Key": IDEMPOTENCY_KEY}
        answer = running.post("/video", json=attacker.order(), headers=headers, timeout=HANG_SECONDS).json()
        assert answer["status"] == "ready"
        file = httpx.get(answer["videoUrl"])
        yield Rendered(
            running, answer["videoUrl"], file.content, file.headers["etag"], data_dir, owner, attacker
        )


def test_direct_mode_answers_with_a_playable_video(rendered: Rendered) -> None:
    with av.open(io.BytesIO(rendered.content), "r") as container:
        assert container.streams.video[0].frames == 5 * 25
    assert re.fullmatch(rf"{rendered.studio.url}/files/[0-9a-f]{{48}}/good-coffee\.mp4", rendered.url)


def test_the_same_key_is_rendered_once(rendered: Rendered) -> None:
    headers = {"Idempotency-Key": IDEMPOTENCY_KEY}
    again = rendered.studio.post("/video", json={**VIDEO, "hook": "Other"}, headers=headers)
    assert again.json() == {"status": "ready", "videoUrl": rendered.url}
    assert len(list((rendered.data_dir / "files").iterdir())) == 1


def test_a_file_has_the_usual_headers(rendered: Rendered) -> None:
    head = httpx.head(rendered.url)
    assert head.status_code == 200
    assert head.headers["content-type"] == "video/mp4"
    assert int(head.headers["content-length"]) == len(rendered.content)
    assert head.headers["accept-ranges"] == "bytes"
    assert re.fullmatch(r'"[^"]+"', head.headers["etag"])
    assert head.headers["last-modified"].endswith("GMT")


@pytest.mark.parametrize(
    ("range_", "first", "last"), [("0-99", 0, 99), ("100-", 100, -1), ("-7", -7, -1), ("5-99999999", 5, -1)]
)
def test_a_range_is_served(rendered: Rendered, range_: str, first: int, last: int) -> None:
    size = len(rendered.content)
    answer = httpx.get(rendered.url, headers={"Range": f"bytes={range_}"})
    start, end = first % size, last % size
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end}/{size}"
    assert answer.content == rendered.content[start : end + 1]


def test_a_range_of_another_version_gets_the_whole_file(rendered: Rendered) -> None:
    same = httpx.get(rendered.url, headers={"Range": "bytes=0-9", "If-Range": rendered.etag})
    other = httpx.get(rendered.url, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (same.status_code, len(same.content)) == (206, 10)
    assert (other.status_code, other.content) == (200, rendered.content)


def test_a_range_beyond_the_end_is_refused(rendered: Rendered) -> None:
    size = len(rendered.content)
    answer = httpx.get(rendered.url, headers={"Range": f"bytes={size}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize("known", ["{etag}", "W/{etag}", '"x", {etag}', "*"])
def test_a_cached_file_is_not_sent_again(rendered: Rendered, known: str) -> None:
    answer = httpx.get(rendered.url, headers={"If-None-Match": known.format(etag=rendered.etag)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == rendered.etag


@pytest.mark.parametrize(
    "path",
    ["/files/none.mp4", "/files/..%2Fjobs", "/files/%2Fetc%2Fpasswd", "/files/.", "/nothing", "/status/none"],
)
def test_no_other_path_is_served(rendered: Rendered, path: str) -> None:
    answer = httpx.get(f"{rendered.studio.url}{path}", headers=SHOWN)
    assert answer.status_code == 404
    assert answer.json()["status"] == "rejected"


def test_the_script_webhook_writes_a_script(rendered: Rendered) -> None:
    answer = rendered.studio.post("/script", json={"topic": "Tea", "company_name": None, "x": 1})
    assert answer.status_code == 200
    assert set(answer.json()) == {"hook", "body", "conclusion"}
    assert "Tea" in answer.json()["hook"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/script", b'{"topic": " "}', 400),
        ("/script", b'{"topic": "Tea", "part": "ending"}', 400),
        ("/script", b"[]", 400),
        ("/video", b"not json", 400),
        ("/video", b"\xff", 400),
        ("/video", json.dumps({**VIDEO, "body": "\n "}).encode(), 400),
        ("/video", json.dumps({**VIDEO, "conclusion": None}).encode(), 400),
        ("/video", json.dumps({**VIDEO, "callbackUrl": "ftp://x"}).encode(), 400),
        ("/video", json.dumps({**VIDEO, "callbackToken": "a\nb"}).encode(), 400),
        ("/video", b'"' + b"x" * 1024 * 1024 + b'"', 413),
    ],
)
def test_an_invalid_request_is_rejected(rendered: Rendered, path: str, body: bytes, status: int) -> None:
    answer = rendered.studio.post(path, content=body)
    assert answer.status_code == status
    assert answer.json()["status"] == "rejected"
    assert answer.json()["message"].endswith(".")


def test_it_listens_on_one_address_only(rendered: Rendered) -> None:
    with closing(socket.socket()) as caller, pytest.raises(ConnectionRefusedError):
        caller.connect(("127.0.0.2", rendered.studio.port))


@pytest.mark.parametrize(
    "shown", [[], ["Authorization: Bearer "], ["Authorization: Bearer wrong"], [f"Authorization: {KEY}"]]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/script"), ("POST", "/video"), ("GET", f"/status/{'0' * 24}"), ("GET", "/")],
)
def test_nothing_is_done_without_the_key(
    rendered: Rendered, method: str, path: str, shown: list[str]
) -> None:
    before = rendered.jobs()
    assert rendered.raw(method, path, f"Host: {rendered.host}", *shown, body=ORDER) == 401
    assert rendered.jobs() == before


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["Host: attacker.example"],
        ["Host: localhost:{port}"],
        ["Host: 127.0.0.1"],
        ["Host: {host}", "Host: attacker.example"],
        ["Host: attacker.example", "Host: {host}"],
    ],
)
@pytest.mark.parametrize("path", ["/video", "/healthz", "/files/a.mp4"])
def test_another_host_name_is_refused(rendered: Rendered, hosts: list[str], path: str) -> None:
    """DNS rebinding: the browser sends the attacker's name. The server itself refuses several Host headers."""
    named = [host.format(host=rendered.host, port=rendered.studio.port) for host in hosts]
    before = rendered.jobs()
    assert rendered.raw("POST", path, *named, KEYED, body=ORDER) in (400, 421)
    assert rendered.jobs() == before


def test_only_the_configured_address_is_called_back(rendered: Rendered) -> None:
    eventually(lambda: rendered.owner.bodies)
    assert [body["videoUrl"] for body in rendered.owner.bodies] == [rendered.url]
    assert rendered.attacker.bodies == []


def test_the_address_of_a_file_cannot_be_guessed_from_its_request(rendered: Rendered) -> None:
    digest = hashlib.sha256(IDEMPOTENCY_KEY.encode()).hexdigest()
    guesses = [f"/files/good-coffee-{digest[:8]}.mp4", "/files/good-coffee.mp4", "/files/", "/files/../files"]
    guesses += [f"/files/{digest[:48]}/good-coffee.mp4", f"/files/{'0' * 48}/good-coffee.mp4"]
    host = f"Host: {rendered.host}"
    assert {rendered.raw("GET", guess, host) for guess in guesses} <= {404, 401}
    assert rendered.raw("GET", rendered.url.removeprefix(rendered.studio.url), host) == 200
