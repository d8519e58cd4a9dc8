"""Stores the detected capabilities of an S3 store in the database, for all processes and later starts."""

import hashlib
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from videovault import logs
from videovault.clock import utcnow
from videovault.db import AUDIT_LOCK_SECONDS, engine, reading, try_write
from videovault.gateways import store_capabilities
from videovault.gateways.store_capabilities import Facts
from videovault.models import StoreCapabilities

log = logs.get(__name__)


class DatabaseCapabilities:
    """Without a database every call still works: capabilities are then detected again."""

    def load(self, store: str) -> Facts:
        if not _has_database():
            return {}
        try:
            with reading() as session:
                row = session.get(StoreCapabilities, _id(store))
        except SQLAlchemyError as error:
            log.info("store capabilities not read", reason=type(error).__name__)
            return {}
        return store_capabilities.from_json(row.facts) if row else {}

    def save(self, store: str, facts: Facts) -> None:
        if not _has_database():
            return
        row = StoreCapabilities(
            id=_id(store), store=store, facts=store_capabilities.as_json(facts), learned_at=utcnow()
        )
        try_write("store capabilities", lambda session: session.merge(row), lock_timeout=AUDIT_LOCK_SECONDS)


def _has_database() -> bool:
    """Opening a SQLite database that does not exist yet would create its file."""
    url = engine().url
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()


def _id(store: str) -> str:
    return hashlib.sha256(store.encode()).hexdigest()
