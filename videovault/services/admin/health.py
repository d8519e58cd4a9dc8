"""Whether the parts that this installation stands on can be used as people use them, each tried for real."""

import errno
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache, partial
from secrets import token_hex
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select, update

from videovault import logs
from videovault.config import settings
from videovault.db import read_db_now, reading, transaction
from videovault.errors import DiskFull, VideoVaultError
from videovault.gateways import http_check, s3_retry, storage
from videovault.models import HealthCheck, Status, User, Video

OK = "ok"
T = TypeVar("T")
Check = Callable[[], object]
TIMEOUT_SECONDS = 5.0
CACHE_SECONDS = 3.0  # anybody may ask, and every look costs S3 a request and the database a write
S3_SECONDS = 1.0
MISSING_KEY = (
    "readyz/nothing"  # a good link to what does not exist is answered by 404, any other by 400 or 403
)
WRITTEN_BYTES = 4096
WRITTEN_ROW = "readyz"
log = logs.get(__name__)


class SharedRun(Generic[T]):
    """One run at a time of a ``look`` that may hang; who asks meanwhile, or within ``seconds``, gets the same outcome."""

    def __init__(self, name: str, seconds: float = 0.0) -> None:
        self._name, self._seconds = name, seconds
        self._lock = threading.Lock()
        self._latest: Future[T] | None = None
        self._good_until = 0.0

    def ask(self, look: Callable[[], T]) -> Future[T]:
        """The outcome of the run that is under way or recent, else of one that begins now."""
        with self._lock:
            if self._latest is None or (self._latest.done() and time.monotonic() >= self._good_until):
                self._latest = Future()
                # Not to be cancelled by one of those who wait for it.
                self._latest.set_running_or_notify_cancel()
                run = threading.Thread(
                    target=self._run, args=(look, self._latest), name=f"health-{self._name}", daemon=True
                )
                run.start()
            return self._latest

    def _run(self, look: Callable[[], T], outcome: Future[T]) -> None:
        """In a thread of its own: one that hangs is left behind and keeps nobody waiting."""
        try:
            found = look()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to the question
            self._good_until = time.monotonic() + self._seconds
            outcome.set_exception(error)
        else:
            self._good_until = time.monotonic() + self._seconds
            outcome.set_result(found)


@lru_cache(maxsize=1)
def shared_runs() -> dict[str, SharedRun[Any]]:
    """This process's runs by the name of the part, for all who ask."""
    return {}


def start(others: Mapping[str, Check]) -> "dict[str, Future[str]]":
    """By name of the part what is found, ``ok`` or a sentence on what is wrong; ``others`` are parts of higher layers.

    One that is not done after ``PATIENCE_SECONDS`` hangs.
    """
    looks: dict[str, Check] = {"database": _database, "disk": _disk, "s3": _s3, **others}
    return {
        name: shared_runs().setdefault(name, SharedRun(name, CACHE_SECONDS)).ask(partial(_found, name, look))
        for name, look in looks.items()
    }


def timeout_message(name: str) -> str:
    return f"The {name} did not answer within {TIMEOUT_SECONDS:g} seconds."


def _database() -> None:
    with reading() as session:
        session.exec(select(User.id).limit(1)).first()
    with transaction(lock_timeout=TIMEOUT_SECONDS) as session:
        row = update(HealthCheck).where(col(HealthCheck.name) == WRITTEN_ROW)
        session.exec(row.values(written_at=read_db_now(session)))


def _disk() -> None:
    """Write a file into DATA_DIR."""
    file = settings().data_dir / f".readyz-{token_hex(4)}"
    try:
        with file.open("wb") as written:
            written.write(os.urandom(WRITTEN_BYTES))
            written.flush()
            os.fsync(written.fileno())
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull from error
        raise
    finally:
        file.unlink(missing_ok=True)


def _s3() -> None:
    """Fetch the newest video's first byte as browsers do; where nothing is stored, a link to nothing proves itself."""
    with s3_retry.use_policy(s3_retry.StorageRetryPolicy(S3_SECONDS)), suppress(storage.ObjectMissing):
        http_check.fetch_by_link(
            storage.connected(), _newest_key() or MISSING_KEY, headers={"Range": "bytes=0-0"}
        )


def _newest_key() -> str | None:
    """None also where the database cannot be asked: it is looked at by itself."""
    newest = select(Video.s3_key).where(Video.status == Status.READY).order_by(col(Video.id).desc())
    try:
        with reading() as session:
            return session.exec(newest.limit(1)).first()
    except SQLAlchemyError as error:
        log.info("no video to be fetched", reason=type(error).__name__)
        return None


def _found(name: str, look: Check) -> str:
    try:
        look()
    except VideoVaultError as error:
        return error.public_message
    except Exception:  # the reason is for the log only: it may tell addresses and names
        log.exception("health check failed", part=name)
        return f"The {name} could not be used; the log tells why."
    return OK
