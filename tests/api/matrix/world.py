"""Everybody who may call, with a video of each; asked, looked at, and put back as it was after each request."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from sqlmodel import select

from tests.api.matrix.rules import CallerName, Target
from tests.api.requests import report, store
from tests.support.generator import Generator
from tests.support.people import BASE, PASSWORD, MakeClient, MakeUser, Person
from videovault import models, security, worker
from videovault.db import reading, transaction
from videovault.gateways.storage import Storage
from videovault.models import Status, User, Video, WebhookCall, utcnow
from videovault.services.accounts import password_reset

# Which also tell what was refused, and when ``/readyz`` last wrote its own row.
LOGS = {"events", "deliveries", "health_checks", "store_capabilities", "alembic_version"}
NOISE = {"last_seen_at", "last_used_at"}
AVATAR_ID = "a" * 32  # of the installation, so it has no owner
Credential = Literal["none", "bearer", "cookie"]


@dataclass(frozen=True)
class Account:
    """Somebody, and all of theirs that a request may name."""

    user_id: str
    email: str
    video_id: str
    secret_key: str
    session_id: str
    token_id: str
    reset_token: str
    delivery_id: str
    report_token: str

    @property
    def by_name(self) -> Mapping[str, str]:
        """As the API's paths and bodies call it."""
        return {
            "userId": self.user_id,
            "videoId": self.video_id,
            "sessionId": self.session_id,
            "tokenId": self.token_id,
            "deliveryId": self.delivery_id,
            "token": self.report_token,
            "avatarId": AVATAR_ID,
        }


ABSENT = Account(
    "0" * 32,
    "absent@example.com",
    "video_1703123456789_abc123def",
    "k" * 43,
    "0" * 32,
    "0" * 32,
    "",
    "0",
    "x.y",
)


@dataclass(frozen=True)
class Caller:
    """Who calls, for whom, by which token; as a page, it is in the cookie."""

    token: str
    me: Account
    other: Account
    has_cookie: bool = True


@dataclass(frozen=True)
class Ask:
    """One request: who makes it, for whom, and what it names."""

    caller: CallerName
    me: Account
    named: Account
    source_url: str


@dataclass
class World:
    callers: Mapping[CallerName, Caller]
    vault: Storage
    database: Path
    source_url: str
    make_client: MakeClient

    def __post_init__(self) -> None:
        self._saved = self.database.with_suffix(".saved")
        _copy(self.database, self._saved)
        self._objects = {key: self._object(key) for key in list(self.vault.keys())}

    def ask(self, caller: CallerName, target: Target) -> Ask:
        who = self.callers[caller]
        named = {"own": who.me, "foreign": who.other, "absent": ABSENT}[target]
        return Ask(caller, who.me, named, self.source_url)

    def client(self, caller: CallerName, *, is_page: bool) -> httpx.Client:
        who = self.callers[caller]
        origin = {"Origin": BASE} if is_page else {}
        if is_page and who.has_cookie and who.token:
            return self.make_client(headers=origin, cookies={"videovault_session": who.token})
        bearer = {"Authorization": f"Bearer {who.token}"} if who.token else {}
        return self.make_client(headers={**origin, **bearer})

    def put_in(self, state: Status) -> None:
        """All videos into one state."""
        code = "SOURCE_FAILED" if state == Status.FAILED else None
        with closing(_opened(self.database)) as connection, connection:
            connection.execute(
                "UPDATE videos SET status = ?, error_code = ?, error_message = ?", (state, code, code)
            )

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything in the database that requests are to change or to leave alone, and the jobs that wait."""
        with closing(_opened(self.database)) as connection:
            tables = [
                name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            found = {name: list(_rows(connection, name)) for name in tables if name not in LOGS}
        return {**found, "jobs": [(worker.queue().huey.pending_count(),)]}

    def put_back(self) -> None:
        """What the next request needs."""
        _copy(self._saved, self.database)
        self._put(self.lost())

    def put_all_back(self) -> None:
        """The objects' tags too, which another secret key changes."""
        self._put(self._objects)

    def lost(self) -> set[str]:
        """The objects that are gone."""
        return self._objects.keys() - set(self.vault.keys())

    def _put(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.vault._s3.put_object(Bucket=self.vault.bucket, Key=key, **self._objects[key])

    def _object(self, key: str) -> dict[str, Any]:
        kept = self.vault._s3.get_object(Bucket=self.vault.bucket, Key=key)
        return {"Body": kept["Body"].read(), "Metadata": kept["Metadata"], "ContentType": kept["ContentType"]}


def populated(
    make_user: MakeUser, generator: Generator, vault: Storage, database: Path, make_client: MakeClient
) -> World:
    """Made by the API, but for what no request does: a session that has run out, an account closed with one open."""
    admin, ada, bob, gone = (make_user(f"{name}@example.com") for name in ("admin", "ada", "bob", "gone"))
    deputy = make_user("deputy@example.com")  # else the admin could not delete the account
    admin.api.patch(f"/api/admin/users/{deputy.user_id}", json={"isAdmin": True})
    accounts = {person.email: _account(person, generator) for person in (admin, ada, bob, gone)}
    mine, his, theirs = accounts[ada.email], accounts[bob.email], accounts[gone.email]
    callback = security.callback_token(security.Order(mine.video_id, ""))
    callers: dict[CallerName, Caller] = {
        "nobody": Caller("", mine, his),
        "expired session": Caller(_expired(ada, make_client), mine, his),
        "deactivated": Caller(gone.token, theirs, mine),
        "callback token": Caller(callback, mine, his, has_cookie=False),
        "read token": Caller(_token(ada, "read"), mine, his, has_cookie=False),
        "write token": Caller(_token(ada, "write"), mine, his, has_cookie=False),
        "Ada": Caller(ada.token, mine, his),
        "Bob": Caller(bob.token, his, mine),
        "admin": Caller(admin.token, accounts[admin.email], mine),
    }
    with transaction() as session:
        session.get_one(User, gone.user_id).is_active = False
        avatar = models.Avatar(id=AVATAR_ID, name="Anna", generator_id="anna", position=0)
        avatar.picture, avatar.picture_hash = b"RIFF", "0" * 16
        session.add(avatar)
    return World(callers, vault, database, generator.file("another.mp4"), make_client)


def seen(answer: httpx.Response, *, is_page: bool) -> str:
    """What is held against the table: the status, and of where a form leads what matters."""
    if not is_page or answer.status_code != 303:
        return str(answer.status_code)
    place = urlsplit(answer.headers["location"])
    said = {name: value[0] for name, value in parse_qs(place.query).items() if name in ("error", "done")}
    return f"303 {place.path}{'?' if said else ''}{urlencode(said)}"


def is_refusal(said: str) -> bool:
    return said[0] in "45" or "error=" in said


def _account(person: Person, generator: Generator) -> Account:
    video_id = store(person, generator.video_url).json()["data"]["videoId"]
    assert report(person.api, person, video_id, "processing").status_code == 200
    token_id = person.api.post("/api/auth/tokens", json={"name": "Spare"}).json()["data"]["tokenId"]
    with reading() as session:
        video, user = session.get_one(Video, video_id), session.get_one(User, person.user_id)
        own = select(models.Session).where(models.Session.user_id == user.id)
        report_kept = select(WebhookCall).where(WebhookCall.video_id == video_id)
        return Account(
            user_id=user.id,
            email=user.email,
            video_id=video_id,
            secret_key=security.unseal(video.sealed_key, owner_id=user.id, video_id=video_id) or "",
            session_id=session.exec(own).one().id,
            token_id=token_id,
            reset_token=password_reset.reset_link(user).url.partition("token=")[2],
            delivery_id=str(session.exec(report_kept).one().id),
            report_token=security.callback_token(security.Order(video_id, "")),
        )


def _expired(person: Person, make_client: MakeClient) -> str:
    body = {"email": person.email, "password": PASSWORD}
    token = str(make_client().post("/api/auth/login", json=body).json()["data"]["token"])
    with transaction() as session:
        session.get_one(models.Session, security.token_hash(token)).expires_at = utcnow()
    return token


def _token(person: Person, scope: str) -> str:
    answer = person.api.post("/api/auth/tokens", json={"name": scope, "scope": scope})
    return str(answer.json()["data"]["token"])


def _opened(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _copy(source: Path, target: Path) -> None:
    with closing(_opened(source)) as kept, closing(_opened(target)) as live:
        kept.backup(live)


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})") if name not in NOISE]
    yield from connection.execute(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608 - our own tables
