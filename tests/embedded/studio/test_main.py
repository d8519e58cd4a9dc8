"""The studio as a process with a port, as the supervisor runs it."""

import io
import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import av
import httpx
import pytest

from tests.embedded.studio.studio_process import (
    SHOWN,
    VIDEO,
    CallbackReceiver,
    Studio,
    callback_receiver,
    running_studio,
)
from tests.support.waiting import HANG_SECONDS, eventually

pytestmark = pytest.mark.process


@dataclass(frozen=True)
class Rendered:
    """A video rendered by a studio in direct mode."""

    studio: Studio
    url: str
    content: bytes
    etag: str
    files: Path


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rendered]:
    data_dir = tmp_path_factory.mktemp("studio")
    with running_studio(data_dir, "--mode", "direct") as running:
        answer = running.post("/video", json=VIDEO, headers={"Idempotency-Key": "v:1"}, timeout=HANG_SECONDS)
        assert answer.json()["status"] == "ready"
        file = httpx.get(answer.json()["videoUrl"])
        yield Rendered(
            running, answer.json()["videoUrl"], file.content, file.headers["etag"], data_dir / "files"
        )


@pytest.fixture
def caller() -> Iterator[CallbackReceiver]:
    with callback_receiver() as listening:
        yield listening


def test_direct_mode_answers_with_a_playable_video(rendered: Rendered) -> None:
    with av.open(io.BytesIO(rendered.content), "r") as container:
        assert len(list(container.decode(video=0))) == 5 * 25
    assert re.fullmatch(rf"{rendered.studio.url}/files/[0-9a-f]{{48}}/good-coffee\.mp4", rendered.url)


def test_the_same_key_is_rendered_once(rendered: Rendered) -> None:
    headers = {"Idempotency-Key": "v:1"}
    again = rendered.studio.post("/video", json={**VIDEO, "hook": "Other"}, headers=headers)
    assert again.json() == {"status": "ready", "videoUrl": rendered.url}
    assert len(list(rendered.files.iterdir())) == 1


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


def test_callback_mode_calls_back_later_even_after_the_studio_was_killed(
    tmp_path: Path, caller: CallbackReceiver
) -> None:
    """The receiver fails at first, and is called again."""
    caller.statuses = [503]
    with running_studio(tmp_path, "--delay", "3600", "--callback", caller.url) as running:
        headers = {"Idempotency-Key": "v:1"}
        answer = running.post("/video", json=caller.order(), headers=headers).json()
        assert (answer["status"], answer["estimatedTime"]) == ("processing", 1)
        assert httpx.get(answer["statusUrl"], headers=SHOWN).json()["status"] == "processing"
        eventually(lambda: list((tmp_path / "files").iterdir()))  # it renders
        running.process.kill()
        running.process.wait()
    (job,) = (tmp_path / "jobs").glob("*.json")
    job.write_text(json.dumps(json.loads(job.read_bytes()) | {"ready_at": 0}))  # as after that hour
    with running_studio(tmp_path, "--callback", caller.url) as running:
        eventually(lambda: len(caller.bodies) == 2)
        ready = httpx.get(f"{running.url}{urlsplit(answer['statusUrl']).path}", headers=SHOWN).json()
        size = int(httpx.head(ready["videoUrl"]).headers["content-length"])
    assert caller.bodies[0] == caller.bodies[1]
    assert caller.bodies[0] == {
        "userId": "user_1",
        "videoId": "video_1",
        "status": "ready",
        "videoUrl": ready["videoUrl"],
        "metadata": {"duration": 5.0, "size": size, "format": "mp4"},
    }
    assert set(caller.tokens) == {"Bearer token-1"}


def test_a_failed_render_is_reported_once_if_the_receiver_refuses(
    tmp_path: Path, caller: CallbackReceiver
) -> None:
    caller.statuses = [404]
    with running_studio(tmp_path, "--delay", "0", "--callback", caller.url) as running:
        shutil.rmtree(tmp_path / "files")
        answer = running.post("/video", json=caller.order()).json()
        (job,) = (tmp_path / "jobs").glob("*.json")
        eventually(lambda: json.loads(job.read_bytes())["reported"])
        state = httpx.get(answer["statusUrl"], headers=SHOWN).json()
    assert state == {"status": "failed", "message": "The video could not be rendered."}
    assert [(body["status"], body["error"]) for body in caller.bodies] == [("failed", state["message"])]


def test_a_throttled_download_is_slow_and_does_not_delay_shutdown(tmp_path: Path) -> None:
    with running_studio(tmp_path, "--bytes-per-second", "20000") as running:
        (tmp_path / "files" / "clip.mp4").write_bytes(bytes(30_000))
        (tmp_path / "files" / "long.mp4").write_bytes(bytes(10_000_000))
        began = time.monotonic()
        assert len(httpx.get(f"{running.url}/files/clip.mp4").content) == 30_000
        assert time.monotonic() - began > 1.2
        with httpx.stream("GET", f"{running.url}/files/long.mp4"):
            running.process.terminate()
            assert running.process.wait(HANG_SECONDS) == 0  # the rest would take minutes
