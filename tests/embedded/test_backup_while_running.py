"""A backup of the running app during 20 transfers, restored to another folder and started there on another port."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.app import RunningApp, running_app
from tests.support.installation import Configure, forget
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from tests.support.product import PASSWORD, Person
from videovault.__main__ import main
from videovault.embedded import s3
from videovault.services.transfer.engine.types import PART_BYTES

pytestmark = pytest.mark.process

EMAIL = "anna@example.com"
READY, RUNNING, IN_PARTS, GONE = 3, 20, 2, 2
SETTINGS = {
    "WORKERS": str(RUNNING),
    "RUNNING_PER_USER": "0",
    "RATE_LIMITS": "off",
    "SOURCE_IDLE_SECONDS": "3600",
    "SCRIPT_WEBHOOK_URL": "",
    "VIDEO_WEBHOOK_URL": "",
}
TIMEOUT_SECONDS = 150


@dataclass
class Films:
    """The videos that sources serve, by video id."""

    source: MisbehavingServer
    films: dict[str, bytes] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)

    def store(self, person: Person, size: int, stall_after: int | None = None) -> str:
        """The id of a video whose source stalls after so many bytes."""
        seed = len(self.films)
        path = f"/film{seed}.mp4"
        url = self.source.serve(path, ServerBehaviour(size=size, seed=seed, stall_after=stall_after))
        video_id = person.store(url)
        self.films[video_id], self.paths[video_id] = payload(size, seed), path
        return video_id

    def serve_fully(self, video_id: str, *, status: int = 200) -> None:
        """From now on the source serves the whole video, or this status."""
        self.source.serve(self.paths[video_id], ServerBehaviour(body=self.films[video_id], status=status))


@pytest.fixture(scope="module")
def films() -> Iterator[Films]:
    with MisbehavingServer() as source:
        yield Films(source)


def test_everything_is_as_it_was_and_running_transfers_are_resumed_or_fail_with_a_reason(
    films: Films, tmp_path: Path, configure: Configure
) -> None:
    here, there, backup = tmp_path / "here", tmp_path / "there", tmp_path / "backup"
    chosen = SETTINGS | {"SOURCE_ALLOW_HOSTS": f"127.0.0.1:{films.source.port}"}
    configure(**chosen)
    with running_app(here, **chosen) as app, signed_in(app, "register") as anna:
        ready = [films.store(anna, MIB) for _ in range(READY)]
        until(lambda: statuses(anna) == {"ready": READY})
        running = [films.store(anna, MIB, stall_after=MIB // 2) for _ in range(RUNNING - IN_PARTS)]
        # Whichever range stalls, the first part is stored and its upload is in the row.
        running += [
            films.store(anna, PART_BYTES + 2 * MIB, stall_after=PART_BYTES + MIB) for _ in range(IN_PARTS)
        ]
        until(lambda: stages(anna).count("storing") == RUNNING)
        was, session = gallery(anna), {"Authorization": anna.api.headers["Authorization"]}
        command(here, "backup", str(backup))
        assert stages(anna).count("storing") == RUNNING  # the backup did not wait for them
        command(here, "backup", "--verify", str(backup))
        output = command(there, "restore", str(backup))
        assert f"Videos: {RUNNING} were being stored and are queued" in output

    gone, resumed = running[:GONE], running[GONE:]
    for video_id in gone:
        films.serve_fully(video_id, status=404)
    for video_id in resumed:
        films.serve_fully(video_id)
    with running_app(there, **chosen) as app, signed_in(app, "login") as anna:
        assert httpx.get(f"{app.url}/api/auth/me", headers=session).status_code == 401
        until(lambda: statuses(anna) == {"ready": READY + RUNNING - GONE, "failed": GONE})
        now = gallery(anna)
        assert list(now) == list(was)  # in the same order
        assert all(lasting(now[each]) == lasting(was[each]) for each in ready)
        assert all(now[each]["error"]["message"] for each in gone)
        for video_id in ready + resumed:
            link = f"/api/auth/video/{video_id}/download"
            assert anna.api.get(link, follow_redirects=True).content == films.films[video_id]
        assert "Bucket and database agree." in command(there, "reconcile")
    kept = s3.bucket_folder(there)
    assert len(list(kept.rglob("*.mp4"))) == READY + RUNNING - GONE


@contextmanager
def signed_in(app: RunningApp, how: str) -> Iterator[Person]:
    with httpx.Client(base_url=app.url, timeout=120) as api:
        answer = api.post(f"/api/auth/{how}", json={"email": EMAIL, "password": PASSWORD})
        data = answer.raise_for_status().json()["data"]
        api.headers["Authorization"] = f"Bearer {data['token']}"
        yield Person(api, EMAIL, data["user"]["userId"])


def gallery(person: Person) -> dict[str, dict[str, Any]]:
    answer = person.api.get("/api/auth/video/gallery", params={"userId": person.user_id})
    return {each["videoId"]: each for each in answer.raise_for_status().json()["data"]["videos"]}


def statuses(person: Person) -> dict[str, int]:
    found = [each["status"] for each in gallery(person).values()]
    return {each: found.count(each) for each in set(found)}


def stages(person: Person) -> list[str]:
    """Of the videos whose source has started to send."""
    found = [each["progress"] for each in gallery(person).values() if "progress" in each]
    return [each["stage"] for each in found if each["bytesDone"]]


def lasting(video: dict[str, Any]) -> dict[str, Any]:
    """All fields but presigned links, which depend on time and address."""
    return {name: value for name, value in video.items() if not name.endswith("Url")}


def command(data_dir: Path, *arguments: str) -> str:
    """The output of a successful command, run in this process."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as output:
        patch.setenv("DATA_DIR", str(data_dir))
        forget()
        assert main(arguments) == 0, output.getvalue()
    forget()
    return output.getvalue()


def until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while not met():
        assert time.monotonic() < end
        time.sleep(0.2)
