"""Keeps what was learned of a store in the database, for all processes and the next start."""

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
    """A database that is away costs no call to the store: what is not kept is learned again."""

    def load(self, store: str) -> Facts:
        if not _has_database():
            return {}
        try:
            with reading() as session:
                row = session.get(StoreCapabilities, _id(store))
        except SQLAlchemyError as error:
            log.info("what is known of the store was not read", reason=type(error).__name__)
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
    """A look would make the file of a SQLite database that nothing has been kept in yet."""
    url = engine().url
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()


def _id(store: str) -> str:
    return hashlib.sha256(store.encode()).hexdigest()
