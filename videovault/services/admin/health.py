"""Health checks of the database, the disk and the S3, each tried for real as people use it."""

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
from videovault.clock import read_db_now
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import DiskFull, VideoVaultError
from videovault.gateways import http_check, s3_client, storage
from videovault.models import HealthCheck, Status, User, Video

OK = "ok"
T = TypeVar("T")
Check = Callable[[], object]
TIMEOUT_SECONDS = 5.0
CACHE_SECONDS = 3.0  # anyone may call, and each check costs a request to S3 and a write to the database
S3_SECONDS = 1.0
MISSING_KEY = (
    "readyz/nothing"  # a valid link to a missing object is answered by 404, an invalid one by 400 or 403
)
WRITTEN_BYTES = 4096
WRITTEN_ROW = "readyz"
log = logs.get(__name__)


class SharedRun(Generic[T]):
    """One run at a time of a check that may hang; callers meanwhile, or within ``seconds``, share its outcome."""

    def __init__(self, name: str, seconds: float = 0.0) -> None:
        self._name, self._seconds = name, seconds
        self._lock = threading.Lock()
        self._latest: Future[T] | None = None
        self._good_until = 0.0

    def start(self, check: Callable[[], T]) -> Future[T]:
        """The outcome of the current or recent run, else of a new one."""
        with self._lock:
            if self._latest is None or (self._latest.done() and time.monotonic() >= self._good_until):
                self._latest = Future()
                # So that no single caller can cancel it for the others.
                self._latest.set_running_or_notify_cancel()
                run = threading.Thread(
                    target=self._run, args=(check, self._latest), name=f"health-{self._name}", daemon=True
                )
                run.start()
            return self._latest

    def _run(self, check: Callable[[], T], outcome: Future[T]) -> None:
        """In its own thread, which is abandoned if it hangs."""
        try:
            found = check()
        except Exception as error:  # noqa: BLE001 - every error is the outcome of the check
            self._good_until = time.monotonic() + self._seconds
            outcome.set_exception(error)
        else:
            self._good_until = time.monotonic() + self._seconds
            outcome.set_result(found)


@lru_cache(maxsize=1)
def shared_runs() -> dict[str, SharedRun[Any]]:
    """This process's runs by the name of the part, shared by all callers."""
    return {}


def start(others: Mapping[str, Check]) -> "dict[str, Future[str]]":
    """The results by part: ``ok`` or a sentence on what is wrong; ``others`` are the parts of higher layers.

    A part without a result after ``TIMEOUT_SECONDS`` hangs.
    """
    checks: dict[str, Check] = {"database": _database, "disk": _disk, "s3": _s3, **others}
    return {
        name: shared_runs()
        .setdefault(name, SharedRun(name, CACHE_SECONDS))
        .start(partial(_result, name, check))
        for name, check in checks.items()
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
    """Writes a file in DATA_DIR."""
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
    """Fetches the newest video's first byte as browsers do; without videos, a link to a missing object is enough."""
    with s3_client.use_policy(s3_client.StorageRetryPolicy(S3_SECONDS)), suppress(storage.ObjectMissing):
        http_check.fetch_by_link(
            storage.connected(), _newest_key() or MISSING_KEY, headers={"Range": "bytes=0-0"}
        )


def _newest_key() -> str | None:
    """None also if the database fails: it has its own check."""
    newest = (
        select(Video.s3_key)
        .where(Video.status == Status.READY)
        .order_by(col(Video.created_at).desc(), col(Video.id).desc())
    )
    try:
        with reading() as session:
            return session.exec(newest.limit(1)).first()
    except SQLAlchemyError as error:
        log.info("no video to be fetched", reason=type(error).__name__)
        return None


def _result(name: str, check: Check) -> str:
    try:
        check()
    except VideoVaultError as error:
        return error.public_message
    except Exception:  # the reason is only logged: it may contain addresses and names
        log.exception("health check failed", part=name)
        return f"The {name} could not be used; see the log for the reason."
    return OK
