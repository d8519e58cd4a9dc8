"""Another process of this machine gets nothing from the studio's port."""

import hashlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.embedded.studio.studio_process import (
    KEY,
    VIDEO,
    CallbackReceiver,
    Studio,
    callback_receiver,
    running_studio,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.thorough

KEYED = f"Authorization: Bearer {KEY}"


@dataclass(frozen=True)
class Victim:
    """A studio that calls ``owner`` back; its data is in ``folder``."""

    studio: Studio
    owner: CallbackReceiver
    folder: Path

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.studio.port}"

    def raw(self, method: str, path: str, *headers: str, body: bytes = b"") -> int:
        """The status of the response to exactly these bytes; Content-Length and Connection are added."""
        lines = [f"{method} {path} HTTP/1.1", *headers, f"Content-Length: {len(body)}", "Connection: close"]
        with socket.create_connection(("127.0.0.1", self.studio.port), timeout=30) as wire:
            wire.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            with wire.makefile("rb") as answer:
                return int(answer.readline().split()[1])

    def jobs(self) -> int:
        return len(list((self.folder / "jobs").iterdir()))


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("victim")
    with (
        callback_receiver() as owner,
        running_studio(folder, "--delay", "0", "--callback", owner.url) as running,
    ):
        yield Victim(running, owner, folder)


ORDER = json.dumps(VIDEO).encode()


@pytest.mark.parametrize(
    "shown", [[], ["Authorization: Bearer "], ["Authorization: Bearer wrong"], [f"Authorization: {KEY}"]]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/script"), ("POST", "/video"), ("GET", f"/status/{'0' * 24}"), ("GET", "/")],
)
def test_nothing_is_done_without_the_key(victim: Victim, method: str, path: str, shown: list[str]) -> None:
    before = victim.jobs()
    assert victim.raw(method, path, f"Host: {victim.host}", *shown, body=ORDER) == 401
    assert victim.jobs() == before


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
def test_another_host_name_is_refused(victim: Victim, hosts: list[str], path: str) -> None:
    """DNS rebinding: the browser sends the attacker's name. The server itself refuses several Host headers."""
    named = [host.format(host=victim.host, port=victim.studio.port) for host in hosts]
    before = victim.jobs()
    assert victim.raw("POST", path, *named, KEYED, body=ORDER) in (400, 421)
    assert victim.jobs() == before


def test_only_the_configured_address_is_called_back(victim: Victim) -> None:
    with callback_receiver() as attacker:
        order = attacker.order(videoId="video_of_attack")
        assert victim.studio.post("/video", json=order).status_code == 200
        eventually(lambda: any(body["videoId"] == "video_of_attack" for body in victim.owner.bodies))
        assert attacker.bodies == []


def test_the_address_of_a_file_cannot_be_guessed_from_its_request(victim: Victim) -> None:
    order, key = victim.owner.order(videoId="video_2"), "video_2:1"
    answer = victim.studio.post("/video", json=order, headers={"Idempotency-Key": key}).json()
    assert answer["status"] == "processing"
    eventually(lambda: any(body["videoId"] == "video_2" for body in victim.owner.bodies))
    (path,) = {
        body["videoUrl"].removeprefix(victim.studio.url)
        for body in victim.owner.bodies
        if body["videoId"] == "video_2"
    }
    digest = hashlib.sha256(key.encode()).hexdigest()
    guesses = [f"/files/good-coffee-{digest[:8]}.mp4", "/files/good-coffee.mp4", "/files/", "/files/../files"]
    guesses += [f"/files/{digest[:48]}/good-coffee.mp4", f"/files/{'0' * 48}/good-coffee.mp4"]
    host = f"Host: {victim.host}"
    assert {victim.raw("GET", guess, host) for guess in guesses} <= {404, 401}
    assert victim.raw("GET", path, host) == 200


def test_without_a_key_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the studio has ended"), running_studio(tmp_path, key=""):
        pass
