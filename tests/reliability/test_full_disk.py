"""A full disk: users sign in, watch, download and delete; all else reports it, and recovers by itself."""

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.support.app import RunningApp, running_app
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from tests.support.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.process

FILM_BYTES = MIB + 256 * 1024  # a deletion frees 1 MiB although the log takes some pages meanwhile
DISK_MIB = 640  # with less than 500 free VideoVault does not start or store videos
PATIENCE_SECONDS = 120
LOGIN = {"email": "ada@example.com", "password": "correct horse"}
OTHER = {"email": "bob@example.com", "password": "correct horse"}
VIDEOS = 2


class FullDisk:
    """A running installation with DATA_DIR on a full disk; ``videos`` were stored before."""

    def __init__(self, app: RunningApp, disk: SmallDisk, source: MisbehavingServer) -> None:
        self.app, self.disk = app, disk
        self._source = source
        self.process = app.process.pid
        data = self.call("POST", "/api/auth/register", json=LOGIN).json()["data"]
        self.user_id, self.token = data["user"]["userId"], data["token"]
        answers = [self.store(number) for number in range(VIDEOS)]
        self.videos = [answer.json()["data"]["videoId"] for answer in answers]
        self.key = answers[0].json()["data"]["secretKey"]
        disk.fill()

    def call(self, method: str, path: str, *, signed_in: bool = False, **more: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if signed_in else {}
        return httpx.request(method, self.app.url + path, headers=headers, timeout=60, **more)  # type: ignore[arg-type]

    def store(self, number: int) -> httpx.Response:
        url = self._source.serve(f"/{number}.mp4", ServerBehaviour(size=FILM_BYTES))
        body = {"videoUrl": url, "userEmail": LOGIN["email"]}
        return self.call("POST", "/api/auth/video/download", signed_in=True, json=body)

    def until(self, met: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not met():
            assert time.monotonic() < give_up, self.app.log.read_text(errors="replace")[-3000:]
            time.sleep(0.2)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullDisk]:
    with (
        small_disk(tmp_path_factory.mktemp("disk"), DISK_MIB) as disk,
        MisbehavingServer() as source,
        running_app(
            disk.folder / "var",
            SCRIPT_WEBHOOK_URL="",
            VIDEO_WEBHOOK_URL="",
            SOURCE_ALLOW_HOSTS=f"127.0.0.1:{source.port}",
            RATE_LIMITS="off",
        ) as app,
    ):
        yield FullDisk(app, disk, source)


def test_the_disk_is_full(full: FullDisk) -> None:
    """Otherwise the following tests prove nothing."""
    assert full.disk.free == 0


def test_people_sign_in_repeatedly(full: FullDisk) -> None:
    for _ in range(5):
        answer = full.call("POST", "/api/auth/login", json=LOGIN)
        assert answer.status_code == 200, answer.text
        headers = {"Authorization": f"Bearer {answer.json()['data']['token']}"}
        assert httpx.get(f"{full.app.url}/api/auth/me", headers=headers, timeout=60).status_code == 200
        full.disk.fill()  # another program takes the freed space
    answer = full.call("POST", "/api/auth/login", data=LOGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/create")


def test_a_wrong_password_is_still_a_wrong_password(full: FullDisk) -> None:
    answer = full.call("POST", "/api/auth/login", json=LOGIN | {"password": "wrong horse"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "NOT_SIGNED_IN")


def test_people_watch_and_download(full: FullDisk) -> None:
    gallery = full.call("GET", "/api/auth/video/gallery", signed_in=True, params={"userId": full.user_id})
    assert len(gallery.json()["data"]["videos"]) == VIDEOS
    for inline in (0, 1):
        link = full.call("GET", f"/api/auth/video/{full.videos[0]}/download?inline={inline}", signed_in=True)
        assert link.status_code == 302, link.text
        assert full.call("GET", link.headers["location"]).content == payload(FILM_BYTES)
    assert full.call("GET", "/gallery/").status_code == 200


def test_people_with_a_share_link_watch_and_download(full: FullDisk) -> None:
    link = full.call("GET", f"/api/share/{full.videos[0]}/download?key={full.key}")
    assert link.status_code == 302, link.text
    assert full.call("GET", link.headers["location"]).content == payload(FILM_BYTES)


@pytest.mark.parametrize("what", ["register", "store", "rename"])
def test_what_needs_space_reports_the_full_disk(full: FullDisk, what: str) -> None:
    path = f"/api/auth/video/{full.videos[0]}"
    calls = {
        "register": lambda: full.call("POST", "/api/auth/register", json=OTHER),
        "store": lambda: full.store(99),
        "rename": lambda: full.call("PATCH", path, signed_in=True, json={"title": "Other"}),
    }
    answer = calls[what]()
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "DISK_FULL")
    assert answer.json()["message"].startswith("The disk is full")


def test_a_form_shows_the_reason(full: FullDisk) -> None:
    answer = full.call("POST", "/api/auth/register", data=OTHER)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/register?error=full")


def test_readyz_names_what_is_not_writable(full: FullDisk) -> None:
    answer = full.call("GET", "/readyz")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert {name for name, result in checks.items() if result.startswith("The disk is full")} == {
        "database",
        "disk",
    }


def test_deleting_works_and_frees_space(full: FullDisk) -> None:
    full.disk.fill()
    body = {"userId": full.user_id, "videoId": full.videos[1]}
    answer = full.call("DELETE", "/api/auth/video/delete", signed_in=True, json=body)
    assert answer.status_code == 200, answer.text
    assert full.call("GET", f"/api/auth/video/{full.videos[1]}", signed_in=True).status_code == 404
    assert full.disk.free >= MIB


def test_with_space_again_everything_works_without_a_restart(full: FullDisk) -> None:
    full.disk.clear()
    assert full.call("POST", "/api/auth/register", json=OTHER).status_code == 201
    assert full.store(100).json()["data"]["status"] == "ready"
    full.until(lambda: full.call("GET", "/readyz").status_code == 200)
    assert full.app.process.pid == full.process
    assert full.app.process.poll() is None
