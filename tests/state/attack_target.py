"""A running installation with somebody to be robbed in it, and all that a thief could carry off or break."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.app import RunningApp, running_app
from tests.support.generator import Generator, running_generator
from tests.support.log_grep import remember
from tests.support.raw_tab import RawTab
from tests.support.waiting import HANG_SECONDS
from videovault.state.share_dialog import ShareDialogState

PASSWORD = "correct horse battery"
COOKIE = "videovault_session"
SHARE = f"{ShareDialogState.get_full_name()}.open"
SECRET_COLUMNS = (
    "password_hash",
    "sealed_key",
    "token_hash",
    "source_url",
    "status_url",
    "s3_key",
    "poster_key",
)
# That somebody was here is noted once a minute.
VOLATILE = {"last_seen_at"}
# All that Ada writes has her name in it.
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.api.close()


@dataclass
class AttackTarget:
    """``named`` are Ada's ids that attackers know and name; ``hidden`` is what must reach nobody but her."""

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
        """One in which Ada looks at a share link: the most that a page ever knows of her."""
        tab = self.tab(cookie)
        tab.send(SHARE, {"video_id": self.film})
        assert any(self.secret_key in frame.text for frame in tab.answers())
        return tab

    def newcomer(self, name: str) -> TargetUser:
        return _signed_in(self.app.url, "register", f"{name}@example.com")

    def another_session(self) -> TargetUser:
        return _signed_in(self.app.url, "login", self.ada.email)

    def rows(self, *, without: TargetUser | None = None) -> Rows:
        """Everything in the database, but for what is somebody's own."""
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
        """What belongs into no page at all, not even its owner's; where a link is shown, its key does."""
        made = json.loads((self.app.data_dir / "installation.json").read_text())
        found = {str(value) for value in made.values() if isinstance(value, str) and len(value) > 8}
        with closing(sqlite3.connect(self.app.data_dir / "videovault.db")) as database:
            rows = [dict(row) for table in _tables(database) for row in _all(database, table)]
        found |= {row[column] for row in rows for column in SECRET_COLUMNS if row.get(column)}
        return found | {person.token for person in (self.root, self.ada, self.bob)}

    def settle(self) -> None:
        """Wait until the worker has nothing more to write of what was made."""
        until = time.monotonic() + HANG_SECONDS
        before: Any = None
        while before != (before := (self.rows(), self.objects())) or self._is_in_work():
            assert time.monotonic() < until, "it does not come to rest"
            time.sleep(0.5)

    def _is_in_work(self) -> bool:
        """Whether a sidecar is to be written yet, or the order that is never finished to be given."""
        due = "sidecar_due_at IS NOT NULL OR (status = 'generating' AND estimated_minutes IS NULL)"
        with closing(sqlite3.connect(self.app.data_dir / "videovault.db")) as database:
            return bool(database.execute(f"SELECT 1 FROM videos WHERE {due}").fetchone())  # noqa: S608 - ours


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
        generator.script = dict.fromkeys(SCRIPT, "Somebody's words")
        yield built


def _settings(generator: Generator) -> dict[str, str]:
    return {
        "SCRIPT_WEBHOOK_URL": f"{generator.url}/script",
        "VIDEO_WEBHOOK_URL": f"{generator.url}/video",
        "SOURCE_ALLOW_HOSTS": generator.url.removeprefix("http://"),
        "GENERATE_WAIT_SECONDS": "0.1",
        "RATE_LIMITS": "off",  # it must not be a limit that keeps anybody out
    }


def _signed_in(url: str, way: str, email: str) -> TargetUser:
    answer = httpx.post(f"{url}/api/auth/{way}", json={"email": email, "password": PASSWORD})
    data = answer.raise_for_status().json()["data"]
    remember(data["token"])
    headers = {"Authorization": f"Bearer {data['token']}"}
    return TargetUser(
        data["user"]["userId"], email, data["token"], httpx.Client(base_url=url, headers=headers, timeout=60)
    )


def _furnish(house: AttackTarget) -> None:
    """Of each thing that Ada can have one that attackers know, and one that they must not come to know."""
    house.generator.script, house.generator.mode = dict(SCRIPT), "processing"
    ada = house.ada
    known_film, other_film = (_film(house, name) for name in ("known.mp4", "other.mp4"))
    failed = _post(ada, "video/download", _source(house, "page.mp4"))["error"]
    assert failed["code"] == "SOURCE_FAILED"
    known_draft, other_draft = (_draft(ada) for _ in range(2))
    in_work = _draft(ada)
    _post(ada, "create-video/generate-video", {**BRIEF, **SCRIPT, "email": ada.email, "videoId": in_work})
    known_token, other_token = (_post(ada, "tokens", {"name": "Adas robot"})["data"] for _ in range(2))
    here, there = (_session_id(house) for _ in range(2))
    house.film, house.secret_key = known_film["videoId"], known_film["secretKey"]
    house.named = [house.film, known_draft, in_work, known_token["tokenId"], here, ada.user_id]
    house.hidden = {
        "Adas",
        ada.email,
        house.root.email,
        house.secret_key,
        house.root.user_id,
        there,
        other_draft,
    }
    house.hidden |= {
        other_film["videoId"],
        other_film["secretKey"],
        other_token["tokenId"],
        other_token["token"],
    }
    house.hidden |= house.secrets()


def _source(house: AttackTarget, name: str) -> dict[str, str]:
    return {"videoUrl": house.generator.file(name), "userEmail": house.ada.email, "title": f"Adas {name}"}


def _film(house: AttackTarget, name: str) -> dict[str, str]:
    data: dict[str, str] = _post(house.ada, "video/download", _source(house, name))["data"]
    assert data["status"] == "ready"
    return data


def _draft(ada: TargetUser) -> str:
    return str(_post(ada, "create-video", {**BRIEF, "email": ada.email})["data"]["videoId"])


def _session_id(house: AttackTarget) -> str:
    with house.another_session() as person:
        sessions = person.api.get("/api/auth/sessions").json()["data"]["sessions"]
    return next(str(one["sessionId"]) for one in sessions if one["isCurrent"])


def _post(person: TargetUser, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = person.api.post(f"/api/auth/{path}", json=body).json()
    return answer


def _tables(database: sqlite3.Connection) -> list[str]:
    found = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return [row[0] for row in found if row[0] != "workers"]  # which say all the time that they are alive


def _all(database: sqlite3.Connection, table: str) -> Iterable[sqlite3.Row]:
    database.row_factory = sqlite3.Row
    return database.execute(f"SELECT * FROM {table}")  # noqa: S608 - the database's own name for it


def _videos_of(person: TargetUser, found: Mapping[str, list[Row]]) -> set[str]:
    return {row["id"] for row in found["videos"] if row["owner_id"] == person.user_id}


def _belongs(table: str, row: Row, own: set[str]) -> bool:
    """Whether all that the row names is somebody's own: who, and which video."""
    named = {row[name] for name in NAMING if row.get(name)}
    named |= {row["id"]} if table in ("users", "videos") else set()
    if table == "deliveries" and not named:  # an order for a script, which is no video yet
        named = {json.loads(row["body"]).get("email")}
    return bool(named) and named <= own


def _lasting(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in VOLATILE}
