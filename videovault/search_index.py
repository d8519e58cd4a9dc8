"""Indexes for searching parts of titles and company names on PostgreSQL, by its extension pg_trgm.

Without the right to create the extension, searches read the rows of the list instead.
"""

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from videovault import logs

PREFIX = "ix_videos_search_"
BUILD_SECONDS = 3600
INDEXES = {f"{PREFIX}{column}": column for column in ("title", "company_name")}
USABLE = "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indisvalid AND indrelid = to_regclass('videos')"

log = logs.get(__name__)


def install(engine: Engine) -> None:
    """Create the missing ones, while others write."""
    if engine.dialect.name != "postgresql":
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        missing = INDEXES.keys() - set(connection.execute(text(USABLE)).scalars())
        if not missing:
            return
        try:
            # A concurrent build waits for every older transaction, such as a backup's, and blocks no reader or writer.
            connection.execute(text(f"SET lock_timeout = '{BUILD_SECONDS}s'"))
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
            for name in sorted(missing):
                # An interrupted build leaves an index that is not used.
                connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
                column = INDEXES[name]
                connection.execute(
                    text(f"CREATE INDEX CONCURRENTLY {name} ON videos USING gin ({column} gin_trgm_ops)")
                )
        except DBAPIError as error:
            log.warning("searches have no index", reason=str(error.orig).splitlines()[0])
