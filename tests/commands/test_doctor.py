"""`python -m videovault doctor` says what is wrong with a set-up, and what a person can do about it."""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import free_port
from tests.support.deploying_document import in_document
from tests.support.documents import table
from tests.support.installation import Configure
from tests.support.listeners import RawAnswer
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from tests.support.s3_proxy import s3_proxy
from tests.support.small_disk import small_disk
from videovault import installation as installation_file
from videovault import postgres, worker
from videovault.__main__ import main
from videovault.commands import doctor
from videovault.config import settings
from videovault.gateways.storage import Storage
from videovault.services.maintenance import identity

OTHER_KEY = "Q0c9vX2mT7rLw4ZbN8yKd1Hs6FgJ5uEa"


@dataclass(frozen=True)
class Report:
    status: int
    checks: dict[str, dict[str, Any]]

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self.checks[name]

    @property
    def broken(self) -> set[str]:
        return {name for name, check in self.checks.items() if check["state"] == "broken"}


Examine = Callable[..., Report]


@pytest.fixture
def examine(configure: Configure, capsys: pytest.CaptureFixture[str]) -> Examine:
    """Run the doctor in this process with additional settings; nothing runs here, and no generator is set."""
    configure(SCRIPT_WEBHOOK_URL="", VIDEO_WEBHOOK_URL="", WORKERS=1)

    def run(*options: str, start_page: str = "", is_running: bool = False, **more: object) -> Report:
        configure(**more)
        capsys.readouterr()
        shared = "--shared" in options
        status = doctor.run(lambda: is_running, lambda: start_page, shared=shared, as_json=True)
        said = json.loads(capsys.readouterr().out)
        return Report(status, {check["name"]: check for check in said["checks"]})

    return run


def test_sound_installation_has_nothing_broken(moto_s3: Storage, in_use: Path, examine: Examine) -> None:
    del moto_s3, in_use
    found = examine()
    assert (found.status, found.broken) == (doctor.STATUS["ok"], set())
    assert {found[name]["state"] for name in ("database", "secret-key", "storage", "data-dir")} == {"ok"}


def test_settings_of_another_installation_are_named(moto_s3: Storage, in_use: Path, examine: Examine) -> None:
    del moto_s3, in_use
    assert "None are recorded yet" in examine()["installation"]["found"]
    identity.record(identity.Role.APP)
    assert examine()["installation"]["state"] == "ok"
    other = examine(AWS_S3_BUCKET_NAME="others")["installation"]
    assert other["state"] == "broken"
    assert "AWS_S3_BUCKET_NAME: the installation uses" in other["found"]
    assert "identity --accept" in other["advice"]


def test_a_database_without_tables_needs_a_migration(
    moto_s3: Storage, installation: Path, examine: Examine
) -> None:
    del moto_s3
    folder = installation / "fresh"
    folder.mkdir()
    (folder / "videovault.db").touch()
    found = examine(DATA_DIR=folder)
    assert found["database"]["state"] == "broken"
    assert "python -m videovault migrate" in found["database"]["advice"]
    skipped = ("secret-key", "installation", "queue", "workers", "copies", "failures")
    assert {found[name]["state"] for name in skipped} == {"skipped"}


def test_fresh_folder_is_neither_needed_nor_created(installation: Path, examine: Examine) -> None:
    found = examine(DATA_DIR=installation / "fresh")
    assert (found.status, found["database-connection"]["state"]) == (0, "skipped")
    assert not (installation / "fresh").exists()


# Five broken set-ups, each with what its message has to name.


def test_wrong_credentials_of_s3(moto_s3: Storage, moto_server: str, examine: Examine) -> None:
    del moto_s3
    with s3_proxy(moto_server) as proxy:
        proxy.choose = lambda _operation: (403, "SignatureDoesNotMatch")
        found = examine(AWS_ENDPOINT_URL_S3=proxy.url)
    assert found.status == doctor.STATUS["broken"]
    assert found["storage"]["found"] == "S3 rejected the signature: check AWS_SECRET_ACCESS_KEY."
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in found["storage"]["advice"]


def test_unreachable_database(moto_s3: Storage, examine: Examine) -> None:
    del moto_s3
    port = free_port()
    found = examine(DATABASE_URL=f"postgresql+psycopg://app:hidden-password@127.0.0.1:{port}/videos")
    connection = found["database-connection"]
    assert (found.status, connection["state"]) == (doctor.STATUS["broken"], "broken")
    assert "refused" in connection["found"]
    assert f"PostgreSQL runs at 127.0.0.1:{port}" in connection["advice"]
    assert "hidden-password" not in json.dumps(found.checks)
    assert {found[name]["state"] for name in ("database", "workers", "failures", "secret-key")} == {"skipped"}


def test_second_machine_without_the_secret_key(moto_s3: Storage, in_use: Path, examine: Examine) -> None:
    del moto_s3
    (in_use / installation_file.FILE_NAME).unlink()
    for more in ({}, {"SECRET_KEY": OTHER_KEY}):
        found = examine(**more)
        assert found["secret-key"]["state"] == "broken"
        assert "On a further machine set SECRET_KEY to that of the first one" in found["secret-key"]["advice"]
    assert "not the one that this database was used with" in found["secret-key"]["found"]
    assert not (in_use / installation_file.FILE_NAME).exists()


def test_redis_that_is_down(moto_s3: Storage, examine: Examine) -> None:
    del moto_s3
    port = free_port()
    found = examine(
        REDIS_URL=f"redis://:hidden-password@127.0.0.1:{port}", QUEUE_URL=f"redis://127.0.0.1:{port}/1"
    )
    for name in ("redis", "queue-connection"):
        assert found[name]["state"] == "broken"
        assert "refused" in found[name]["found"].lower()
        assert f"Redis runs at 127.0.0.1:{port}" in found[name]["advice"]
    assert (found["queue"]["state"], "hidden-password" in json.dumps(found.checks)) == ("skipped", False)


def test_data_dir_on_a_full_disk(installation: Path, examine: Examine) -> None:
    with small_disk(installation / "disk", 1) as disk:
        disk.fill()
        found = examine(DATA_DIR=disk.folder)
    assert (found.status, found["data-dir"]["state"]) == (doctor.STATUS["broken"], "broken")
    assert "disk that is full" in found["data-dir"]["found"]
    assert "DATA_DIR to another disk" in found["data-dir"]["advice"]


def test_the_document_shows_what_is_said_of_five_broken_set_ups(
    moto_s3: Storage,
    moto_server: str,
    in_use: Path,
    examine: Examine,
    installation: Path,
    request: pytest.FixtureRequest,
) -> None:
    """After a change: `python -m pytest tests/commands --write-deploying`."""
    del moto_s3
    nothing = f"127.0.0.1:{free_port()}"
    (in_use / installation_file.FILE_NAME).unlink()
    rows = [("a second machine without the key", advised(examine()["secret-key"]))]
    with s3_proxy(moto_server) as proxy:
        proxy.choose = lambda _operation: (403, "SignatureDoesNotMatch")
        rows.append(("wrong credentials of S3", advised(examine(AWS_ENDPOINT_URL_S3=proxy.url)["storage"])))
    found = examine(AWS_ENDPOINT_URL_S3=moto_server, REDIS_URL=f"redis://{nothing}")
    rows.append(("no Redis", advised(found["redis"])))
    found = examine(DATABASE_URL=f"postgresql+psycopg://app@{nothing}/videos")
    rows.append(("no PostgreSQL", advised(found["database-connection"])))
    with small_disk(installation / "disk", 1) as disk:
        disk.fill()
        rows.append(("a full disk", advised(examine(DATA_DIR=disk.folder)["data-dir"])))
    seen = table(("broken", "the doctor says"), rows)
    assert in_document(request.config, "doctor", seen) == seen


def advised(check: dict[str, Any]) -> str:
    assert check["state"] == "broken"
    text = f"{check['title']}: {check['found']} → {check['advice']}".replace(
        str(settings().data_dir), "/data"
    )
    return re.sub(r"127\.0\.0\.1:\d+|port \d+", "127.0.0.1:0", " ".join(text.split()))


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="needs a folder that is read-only even for root")
def test_data_dir_that_cannot_be_written(examine: Examine) -> None:
    found = examine(DATA_DIR="/proc/sys")
    assert found["data-dir"]["state"] == "broken"
    assert "/proc/sys" in found["data-dir"]["found"]
    assert "chown" in found["data-dir"]["advice"]


def test_invalid_settings_are_reported_as_json_too(
    monkeypatch: pytest.MonkeyPatch, installation: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del installation
    monkeypatch.setenv("PORT", "none")
    settings.cache_clear()
    assert main(["doctor", "--json"]) == doctor.STATUS["broken"]
    said = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in said["checks"]] == ["settings"]
    assert "PORT" in said["checks"][0]["found"]
    settings.cache_clear()


# It changes nothing.


def test_jobs_are_counted_without_changing_the_queue(
    moto_s3: Storage, in_use: Path, examine: Examine
) -> None:
    del moto_s3
    worker.enqueue("a video")
    queue = worker.queue().huey
    assert "1 jobs are waiting" in examine()["queue-connection"]["found"]
    queue.storage.close()
    (in_use / "queue.db-wake").unlink()
    before = {path.name: path.stat().st_ino for path in in_use.iterdir() if path.name.startswith("queue")}
    assert "1 jobs are waiting" in examine()["queue-connection"]["found"]
    assert before == {path.name: path.stat().st_ino for path in in_use.iterdir() if path.name in before}
    assert not (in_use / "queue.db-wake").exists()


def test_a_damaged_queue_is_kept(moto_s3: Storage, in_use: Path, examine: Examine) -> None:
    del moto_s3
    (in_use / "queue.db").write_bytes(b"damaged" * 1000)
    found = examine()["queue-connection"]
    assert (found["state"], "not a database" in found["found"]) == ("broken", True)
    assert "rebuilds it" in found["advice"]
    assert (in_use / "queue.db").read_bytes() == b"damaged" * 1000


def test_missing_tables_of_a_queue_in_postgres_are_reported(
    moto_s3: Storage, in_use: Path, examine: Examine, postgres_url: str
) -> None:
    del moto_s3, in_use
    url = postgres_url.replace("+psycopg", "")
    found = examine(QUEUE_URL=url)["queue-connection"]
    assert (found["state"], found["found"]) == ("broken", "its tables are missing")
    assert "python -m videovault migrate" in found["advice"]
    assert postgres.queue_problem(url) == "its tables are missing"


# What a second machine needs.


def test_one_machine_lists_what_a_second_one_needs(moto_s3: Storage, examine: Examine) -> None:
    del moto_s3
    found = examine("--shared")
    assert found.broken >= {"shared-database", "shared-queue", "shared-key", "public-address"}
    assert found["shared-redis"]["state"] == "warning"
    assert (found["shared-s3"]["state"], found["shared-generators"]["state"]) == ("warning", "ok")
    for name in ("shared-database", "shared-queue", "shared-key", "public-address"):
        setting = {"shared-key": "SECRET_KEY", "public-address": "PUBLIC_URL"}.get(name, "")
        setting = setting or f"{name.removeprefix('shared-').upper()}_URL"
        assert setting in found[name]["advice"]


def test_installation_of_one_machine_is_not_bothered(moto_s3: Storage, examine: Examine) -> None:
    del moto_s3
    assert not any(name.startswith("shared-") for name in examine().checks)
    assert examine(WORKERS=0)["shared-key"]["state"] == "warning"


@pytest.fixture
def proxy() -> Iterator[MisbehavingServer]:
    """A proxy that passes pages, but no websocket."""
    with MisbehavingServer() as server:
        server.serve("/", ServerBehaviour(body=b'<script src="/assets/app-1234.js"></script>'))
        yield server


def test_proxy_without_websockets(moto_s3: Storage, examine: Examine, proxy: MisbehavingServer) -> None:
    del moto_s3
    found = examine(PUBLIC_URL=proxy.origin, is_running=True)["websocket"]
    assert found["state"] == "broken"
    assert "instead of opening it" in found["found"]
    assert "deploy/nginx.conf" in found["advice"]


def test_proxy_that_opens_the_websocket(moto_s3: Storage, examine: Examine) -> None:
    del moto_s3
    answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    elsewhere = f"http://localhost:{free_port()}"
    with RawAnswer(answer, at_once=True) as port:
        found = examine(PUBLIC_URL=f"http://localhost:{port}", CALLBACK_URL=elsewhere, is_running=True)
    assert found["websocket"]["state"] == "ok"


@pytest.mark.parametrize(("script", "state"), [("app-1234", "ok"), ("app-5678", "broken")])
def test_pages_of_another_version_are_noticed(
    moto_s3: Storage, examine: Examine, proxy: MisbehavingServer, script: str, state: str
) -> None:
    del moto_s3
    page = f'<script src="/assets/{script}.js"></script>'
    found = examine("--shared", PUBLIC_URL=proxy.origin, start_page=page)
    assert found["same-version"]["state"] == state


# The roles.


@pytest.fixture
def _workers_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role sets it for its process."""
    monkeypatch.setenv("WORKERS", os.environ.get("WORKERS", "4"))


@pytest.mark.usefixtures("installation", "_workers_is_put_back")
def test_web_refuses_to_start_without_what_workers_elsewhere_need(capsys: pytest.CaptureFixture[str]) -> None:
    settings.cache_clear()
    assert main(["web"]) == 2
    said = capsys.readouterr().err
    assert "set AWS_S3_BUCKET_NAME, SCRIPT_WEBHOOK_URL, VIDEO_WEBHOOK_URL" in said


@pytest.mark.usefixtures("installation", "_workers_is_put_back")
def test_concurrency_of_a_worker_stands_for_workers() -> None:
    (settings().data_dir / installation_file.RESTORE_MARKER).touch()  # it stops here
    settings.cache_clear()
    assert main(["worker", "--concurrency", "7"]) == 2
    assert settings().workers == 7
    settings.cache_clear()


@pytest.mark.parametrize("text", ["0", "65", "many", "-1"])
def test_impossible_concurrency_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["worker", f"--concurrency={text}"])
    assert "must be a number from 1 to 64" in capsys.readouterr().err
