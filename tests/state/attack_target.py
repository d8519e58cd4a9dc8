"""A running installation with users to attack, and everything that an attack could read or change."""

import json
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from tests.support.app import RunningApp, running_app
from tests.support.generator import Generator, running_generator
from tests.support.log_grep import remember
from tests.support.raw_tab import RawTab
from tests.support.waiting import HANG_SECONDS
from videovault.state.share_dialog import ShareDialogState

PASSWORD = "correct horse battery"
COOKIE = "videovault_session"
OPEN_SHARE_DIALOG = f"{ShareDialogState.get_full_name()}.open"
SECRET_COLUMNS = (
    "password_hash",
    "sealed_key",
    "token_hash",
    "source_url",
    "status_url",
    "s3_key",
    "poster_key",
)
# Updated once a minute.
VOLATILE = {"last_seen_at"}
# Everything that Ada writes contains her name.
BRIEF = {
    "topic": "Adas topic",
    "company_name": "Adas company",
    "social_handles": "@Adas",
    "license": "Adas license",
    "avatar": "Maya",
}
SCRIPT = {"hook": "Adas hook", "body": "Adas body", "conclusion": "Adas conclusion"}
NAMING = ("user_id", "owner_id", "actor_id", "video_id")
Row = dict[str, Any]
Rows = dict[str, list[str]]


@dataclass(frozen=True)
class TargetUser:
    user_id: str
    email: str
    token: str
    api: httpx.Client

    @property
    def cookie(self) -> str:
        return f"{COOKIE}={self.token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()


@dataclass
class AttackTarget:
    """``named`` are Ada's ids that attackers know; ``hidden`` must reach only her."""

    app: RunningApp
    generator: Generator
    root: TargetUser
    ada: TargetUser
    bob: TargetUser
    film: str = ""
    secret_key: str = ""
    named: list[str] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)

    def tab(self, cookie: str = "", **more: str) -> RawTab:
        return RawTab(self.app.url, cookie=cookie, **more)

    def adas_tab(self, cookie: str) -> RawTab:
        """A tab of Ada's with an open share link, the most sensitive page state."""
        tab = self.tab(cookie)
        tab.send(OPEN_SHARE_DIALOG, {"video_id": self.film})
        assert any(self.secret_key in frame.text for frame in tab.answers())
        return tab

    def newcomer(self, name: str) -> TargetUser:
        return _signed_in(self.app.url, "register", f"{name}@example.com")

    def another_session(self) -> TargetUser:
        return _signed_in(self.app.url, "login", self.ada.email)

    def rows(self, *, without: TargetUser | None = None) -> Rows:
        """Everything in the database except what belongs to ``without``."""
        with closing(sqlite3.connect(self.app.data_dir / "videovault.db")) as database:
            found = {name: [dict(row) for row in _all(database, name)] for name in _tables(database)}
        own = {without.user_id, without.email, *_videos_of(without, found)} if without else set()
        return {
            name: [repr(_lasting(row)) for row in rows if not _belongs(name, row, own)]
            for name, rows in found.items()
        }

    def objects(self) -> Mapping[str, tuple[int, int]]:
        """Size and time of each file in the embedded S3, which is what an object is there."""
        folder = self.app.data_dir / "s3"
        files = ((path, path.stat()) for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): (stat.st_size, stat.st_mtime_ns) for path, stat in files}

    def secrets(self) -> set[str]:
        """What must be on no page, not even the owner's; except for the key in a share link."""
        made = json.loads((self.app.data_dir / "installation.json").read_text())
        found = {str(value) for value in made.values() if isinstance(value, str) and len(value) > 8}
        with closing(sqlite3.connect(self.app.data_dir / "videovault.db")) as database:
            rows = [dict(row) for table in _tables(database) for row in _all(database, table)]
        found |= {row[column] for row in rows for column in SECRET_COLUMNS if row.get(column)}
        return found | {person.token for person in (self.root, self.ada, self.bob)}

    def settle(self) -> None:
        """Wait until the worker has finished."""
        until = time.monotonic() + HANG_SECONDS
        before: Any = None
        while before != (before := (self.rows(), self.objects())) or self._is_in_work():
            assert time.monotonic() < until, "the worker does not finish"
            time.sleep(0.5)

    def _is_in_work(self) -> bool:
        """Whether a sidecar or the unfinished order is still pending."""
        due = "sidecar_due_at IS NOT NULL OR (status = 'generating' AND estimated_minutes IS NULL)"
        with closing(sqlite3.connect(self.app.data_dir / "videovault.db")) as database:
            return bool(database.execute(f"SELECT 1 FROM videos WHERE {due}").fetchone())  # noqa: S608 - ours


class Answer:
    """Of a request that was written by hand."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = [
            (line.partition(":")[0].lower(), line.partition(":")[2].strip()) for line in lines[1:]
        ]

    def header(self, name: str) -> str:
        return next((value for found, value in self.headers if found == name), "")

    @property
    def code(self) -> tuple[int, str]:
        """Status and code of a failure in the API's envelope."""
        envelope = json.loads(self.body)
        assert envelope["success"] is False
        assert self.header("x-request-id")
        return self.status, envelope["error"]["code"]


def ask(site: AttackTarget, target: str, *lines: str, method: str = "GET", body: bytes = b"") -> Answer:
    place = urlsplit(site.app.url)
    head = [f"{method} {target} HTTP/1.1", f"Host: {place.netloc}", "Connection: close", *lines]
    with socket.create_connection(("localhost", place.port or 80), timeout=HANG_SECONDS) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        received = b""
        while part := connection.recv(65536):
            received += part
    return Answer(received)


@contextmanager
def attack_target(folder: Path, mp4: bytes) -> Iterator[AttackTarget]:
    remember(PASSWORD)
    with ExitStack() as opened:
        generator = opened.enter_context(running_generator(mp4))
        app = opened.enter_context(running_app(folder, **_settings(generator)))
        root, ada, bob = (
            opened.enter_context(_signed_in(app.url, "register", f"{name}@example.com"))
            for name in ("root", "ada", "bob")
        )
        built = AttackTarget(app, generator, root, ada, bob)
        _furnish(built)
        built.settle()
        generator.script = dict.fromkeys(SCRIPT, "Other words")
        yield built


def _settings(generator: Generator) -> dict[str, str]:
    return {
        "SCRIPT_WEBHOOK_URL": f"{generator.url}/script",
        "VIDEO_WEBHOOK_URL": f"{generator.url}/video",
        "SOURCE_ALLOW_HOSTS": generator.url.removeprefix("http://"),
        "GENERATE_WAIT_SECONDS": "0.1",
        "RATE_LIMITS": "off",  # a rate limit must not hide a missing check
    }


def _signed_in(url: str, way: str, email: str) -> TargetUser:
    answer = httpx.post(f"{url}/api/auth/{way}", json={"email": email, "password": PASSWORD})
    data = answer.raise_for_status().json()["data"]
    remember(data["token"])
    headers = {"Authorization": f"Bearer {data['token']}"}
    return TargetUser(
        data["user"]["userId"], email, data["token"], httpx.Client(base_url=url, headers=headers, timeout=60)
    )


def _furnish(site: AttackTarget) -> None:
    """Create one of each kind of Ada's things that attackers know, and one that they must not learn about."""
    site.generator.script, site.generator.mode = dict(SCRIPT), "processing"
    ada = site.ada
    known_film, other_film = (_film(site, name) for name in ("known.mp4", "other.mp4"))
    failed = _post(ada, "video/download", _source(site, "page.mp4"))["error"]
    assert failed["code"] == "SOURCE_FAILED"
    known_draft, other_draft = (_draft(ada) for _ in range(2))
    in_work = _draft(ada)
    _post(ada, "create-video/generate-video", {**BRIEF, **SCRIPT, "email": ada.email, "videoId": in_work})
    known_token, other_token = (_post(ada, "tokens", {"name": "Adas robot"})["data"] for _ in range(2))
    here, there = (_session_id(site) for _ in range(2))
    site.film, site.secret_key = known_film["videoId"], known_film["secretKey"]
    site.named = [site.film, known_draft, in_work, known_token["tokenId"], here, ada.user_id]
    site.hidden = {
        "Adas",
        ada.email,
        site.root.email,
        site.secret_key,
        site.root.user_id,
        there,
        other_draft,
    }
    site.hidden |= {
        other_film["videoId"],
        other_film["secretKey"],
        other_token["tokenId"],
        other_token["token"],
    }
    site.hidden |= site.secrets()


def _source(site: AttackTarget, name: str) -> dict[str, str]:
    return {"videoUrl": site.generator.file(name), "userEmail": site.ada.email, "title": f"Adas {name}"}


def _film(site: AttackTarget, name: str) -> dict[str, str]:
    data: dict[str, str] = _post(site.ada, "video/download", _source(site, name))["data"]
    assert data["status"] == "ready"
    return data


def _draft(ada: TargetUser) -> str:
    return str(_post(ada, "create-video", {**BRIEF, "email": ada.email})["data"]["videoId"])


def _session_id(site: AttackTarget) -> str:
    with site.another_session() as person:
        sessions = person.api.get("/api/auth/sessions").json()["data"]["sessions"]
    return next(str(one["sessionId"]) for one in sessions if one["isCurrent"])


def _post(person: TargetUser, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = person.api.post(f"/api/auth/{path}", json=body).json()
    return answer


def _tables(database: sqlite3.Connection) -> list[str]:
    found = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    left_out = "workers", "video_search"  # updated by heartbeats; a search index of the titles
    return [row[0] for row in found if not row[0].startswith(left_out)]


def _all(database: sqlite3.Connection, table: str) -> Iterable[sqlite3.Row]:
    database.row_factory = sqlite3.Row
    return database.execute(f"SELECT * FROM {table}")  # noqa: S608 - the database's own name for it


def _videos_of(person: TargetUser, found: Mapping[str, list[Row]]) -> set[str]:
    return {row["id"] for row in found["videos"] if row["owner_id"] == person.user_id}


def _belongs(table: str, row: Row, own: set[str]) -> bool:
    """Whether all users and videos named in the row are in ``own``."""
    named = {row[name] for name in NAMING if row.get(name)}
    named |= {row["id"]} if table in ("users", "videos") else set()
    if table == "counters":  # the totals count the owner's videos, too
        return row["scope"] in own or row["scope"].startswith("total-")
    if table == "deliveries" and not named:  # an order for a script, which is no video yet
        named = {json.loads(row["body"]).get("email")}
    return bool(named) and named <= own


def _lasting(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in VOLATILE}
