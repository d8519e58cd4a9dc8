"""What VideoVault does: one function per use case, shared by pages, API, worker and command line.

Gateways do not know the database, so the memory for the detected capabilities of S3 stores is set here, before any
service calls a store.
"""

import hashlib
from pathlib import Path

from videovault import logs
from videovault.config import settings
from videovault.gateways import store_capabilities
from videovault.gateways.store_capabilities import Facts

log = logs.get(__name__)


class DatabaseCapabilities:
    """Keeps the detected capabilities of S3 stores in the database, for all processes and later starts.

    Without a database every call still works: capabilities are then detected again. The database is imported with the
    first use: `transfer` works without one, and it takes 25 MB.
    """

    def load(self, store: str) -> Facts:
        if not _has_database():
            return {}
        from sqlalchemy.exc import SQLAlchemyError

        from videovault.db import reading
        from videovault.models import StoreCapabilities

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
        from videovault.clock import utcnow
        from videovault.db import AUDIT_LOCK_SECONDS, try_write
        from videovault.models import StoreCapabilities

        row = StoreCapabilities(
            id=_id(store), store=store, facts=store_capabilities.as_json(facts), learned_at=utcnow()
        )
        try_write("store capabilities", lambda session: session.merge(row), lock_timeout=AUDIT_LOCK_SECONDS)


def _has_database() -> bool:
    """Opening a SQLite database that does not exist yet would create its file."""
    scheme, _, path = settings().database_dsn.partition(":///")
    return not scheme.startswith("sqlite") or Path(path.partition("?")[0]).is_file()


def _id(store: str) -> str:
    return hashlib.sha256(store.encode()).hexdigest()


store_capabilities.use_memory(DatabaseCapabilities())
