"""Every kind of caller with a video each. Requests are made, compared and undone."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from moto.s3.models import s3_backends
from sqlmodel import select

from tests.api.matrix.rules import CallerName, Target
from tests.api.requests import report, store
from tests.support.generator import Generator
from tests.support.people import BASE, PASSWORD, MakeClient, MakeUser, Person
from videovault import models, security, worker
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.gateways.storage import Storage
from videovault.models import Status, User, Video, WebhookCall
from videovault.search_index import is_of_sqlite
from videovault.services.accounts import passwords

# Refused requests add rows to these too, and ``/readyz`` writes its own row.
LOGS = {"events", "deliveries", "health_checks", "store_capabilities", "alembic_version"}
MOTO_ACCOUNT = "123456789012"
NOISE = {"last_seen_at", "last_used_at"}
AVATAR_ID = "a" * 32  # of the installation, so it has no owner
Credential = Literal["none", "bearer", "cookie"]


@dataclass(frozen=True)
class Account:
    """A user, and everything of theirs that a request may name."""

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
        """By the names in the API's paths and bodies."""
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
    """A caller with its token, which pages send as a cookie; ``other`` is the account of another user."""

    token: str
    me: Account
    other: Account
    has_cookie: bool = True


@dataclass(frozen=True)
class RequestContext:
    """The caller of one request, its own account, and the account whose things it names."""

    caller: CallerName
    me: Account
    named: Account
    source_url: str


@dataclass
class Population:
    callers: Mapping[CallerName, Caller]
    vault: Storage
    database: Path
    source_url: str
    make_client: MakeClient

    def __post_init__(self) -> None:
        self._saved = self.database.with_suffix(".saved")
        _copy(self.database, self._saved)
        with closing(_opened(self.database)) as connection:
            self._queries = dict(_queries(connection))
        # In this process, because asking for all objects after each of a thousand requests takes most of the time.
        self._bucket = s3_backends[MOTO_ACCOUNT]["aws"].buckets[self.vault.bucket]
        self._contents = {key: self._object(key) for key in self._bucket.keys}
        self._versions = dict(self._bucket.keys.items())

    def context(self, caller: CallerName, target: Target) -> RequestContext:
        who = self.callers[caller]
        named = {"own": who.me, "foreign": who.other, "absent": ABSENT}[target]
        return RequestContext(caller, who.me, named, self.source_url)

    def client(self, caller: CallerName, *, is_page: bool) -> httpx.Client:
        who = self.callers[caller]
        origin = {"Origin": BASE} if is_page else {}
        if is_page and who.has_cookie and who.token:
            return self.make_client(headers=origin, cookies={"videovault_session": who.token})
        bearer = {"Authorization": f"Bearer {who.token}"} if who.token else {}
        return self.make_client(headers={**origin, **bearer})

    def set_status(self, state: Status) -> None:
        """Set the status of all videos."""
        code = "SOURCE_FAILED" if state == Status.FAILED else None
        with closing(_opened(self.database)) as connection, connection:
            connection.execute(
                "UPDATE videos SET status = ?, error_code = ?, error_message = ?", (state, code, code)
            )

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of all compared tables, the number of queued jobs, and the objects that differ."""
        with closing(_opened(self.database)) as connection:
            found = {name: connection.execute(query).fetchall() for name, query in self._queries.items()}
        jobs = worker.queue().huey.pending_count()
        return {**found, "jobs": [(jobs,)], "objects": [(key,) for key in self._changed_objects()]}

    def restore(self) -> None:
        """Restore the database and the objects."""
        _copy(self._saved, self.database)
        for key in self._changed_objects():
            if key in self._contents:
                self.vault._s3.put_object(Bucket=self.vault.bucket, Key=key, **self._contents[key])
                self._versions[key] = self._bucket.keys[key]
            else:
                self.vault._s3.delete_object(Bucket=self.vault.bucket, Key=key)

    def _changed_objects(self) -> list[str]:
        """The keys of objects that were added, removed or replaced; a new tag replaces an object too."""
        now = dict(self._bucket.keys.items())
        return [key for key in now.keys() | self._versions if now.get(key) is not self._versions.get(key)]

    def _object(self, key: str) -> dict[str, Any]:
        kept = self.vault._s3.get_object(Bucket=self.vault.bucket, Key=key)
        return {"Body": kept["Body"].read(), "Metadata": kept["Metadata"], "ContentType": kept["ContentType"]}


def populate(
    make_user: MakeUser, generator: Generator, vault: Storage, database: Path, make_client: MakeClient
) -> Population:
    """Made by the API, except what no request does: expire a session, deactivate an account with an open one."""
    admin, ada, bob, gone = (make_user(f"{name}@example.com") for name in ("admin", "ada", "bob", "gone"))
    deputy = make_user("deputy@example.com")  # otherwise the admin could not delete the account
    admin.api.patch(f"/api/admin/users/{deputy.user_id}", json={"isAdmin": True})
    accounts = {person.email: _account(person, generator) for person in (admin, ada, bob, gone)}
    mine, his, theirs = accounts[ada.email], accounts[bob.email], accounts[gone.email]
    callback = security.callback_token(security.Order(mine.video_id, ""))
    callers: dict[CallerName, Caller] = {
        "anonymous": Caller("", mine, his),
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
    return Population(callers, vault, database, generator.file("another.mp4"), make_client)


def outcome_of(response: httpx.Response, *, is_page: bool) -> str:
    """What is compared with the table: the status, and the relevant part of a form's redirect."""
    if not is_page or response.status_code != 303:
        return str(response.status_code)
    place = urlsplit(response.headers["location"])
    codes = {name: value[0] for name, value in parse_qs(place.query).items() if name in ("error", "done")}
    return f"303 {place.path}{'?' if codes else ''}{urlencode(codes)}"


def is_refusal(outcome: str) -> bool:
    return outcome[0] in "45" or "error=" in outcome


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
            reset_token=passwords.reset_link(user).url.partition("token=")[2],
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


def _queries(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """A query for each compared table."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        if table not in LOGS and not is_of_sqlite(table):
            columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
            compared = ", ".join(name for name in columns if name not in NOISE)
            yield table, f"SELECT {compared} FROM {table}"  # noqa: S608 - our own tables
