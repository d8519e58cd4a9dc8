"""The full-text index of the titles' trigrams on SQLite, for searching parts of them; PostgreSQL has pg_trgm.

With a SQLite that lacks such indexes, searches read the rows instead.
"""

import re

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from videovault import logs

# The trigrams of the titles without the titles, and the numbers of the videos in it, since VACUUM changes those
# of the rows. Both are made by ``install`` alone, like the triggers, and left out of backups.
SQLITE_TABLE, SQLITE_NUMBERS = "video_search", "video_search_numbers"
SQLITE_TRIGGERS = tuple(f"search_videos_{change}" for change in ("insert", "update", "delete"))
TOKENIZER = "trigram"
MIN_TERM, MAX_TERMS = 3, 20
TERMS = re.compile(r"[ -~]{3,}")
COMBINING_DOT = "\u0307"

log = logs.get(__name__)


def is_of_sqlite(table: str) -> bool:
    """Whether SQLite's index consists of it."""
    return table.startswith(SQLITE_TABLE)


def remove_from_sqlite(connection: Connection) -> None:
    for trigger in SQLITE_TRIGGERS:
        connection.execute(text(f"DROP TRIGGER IF EXISTS {trigger}"))
    for table in (SQLITE_TABLE, SQLITE_NUMBERS):
        connection.execute(text(f"DROP TABLE IF EXISTS {table}"))


def sqlite_candidates(connection: Connection, words: str, limit: int) -> list[str] | None:
    """The ids of all videos whose title may contain ``words``, in either case; some of them do not.

    None if there are more than ``limit``, if the words are too short, and without an index.
    """
    terms = _terms(words)
    if connection.dialect.name != "sqlite" or not terms or not _is_installed(connection):
        return None
    found = (
        f"SELECT video_id FROM {SQLITE_TABLE} JOIN {SQLITE_NUMBERS} ON number = {SQLITE_TABLE}.rowid "  # noqa: S608 - names of ours
        f"WHERE {SQLITE_TABLE} MATCH :terms LIMIT :limit"
    )
    given = {"terms": " AND ".join(f'"{term}"' for term in terms), "limit": limit + 1}
    ids = connection.execute(text(found), given).scalars().all()
    return list(ids) if len(ids) <= limit else None


def _terms(words: str) -> list[str]:
    """Trigrams that all titles with ``words`` contain, as terms of a full-text query.

    Of ASCII only: for other letters, the index and ``lower`` disagree about a few.
    """
    # A capital I with a dot becomes this i and the dot in lower case, but not in the index.
    runs = TERMS.findall(words.replace(f"i{COMBINING_DOT}", COMBINING_DOT))
    starts = [
        (run, start)
        for run in runs
        for start in {*range(0, len(run) - MIN_TERM + 1, MIN_TERM), len(run) - MIN_TERM}
    ]
    return [run[start : start + MIN_TERM].replace('"', '""') for run, start in starts][:MAX_TERMS]


def install(connection: Connection) -> None:
    """Fill the index from the rows if it is missing. Writers wait until the transaction ends."""
    if not _has_trigrams(connection):
        for trigger in SQLITE_TRIGGERS:  # they would fail, and with them every change of a title
            connection.execute(text(f"DROP TRIGGER IF EXISTS {trigger}"))
        return
    if _is_installed(connection):
        return
    remove_from_sqlite(connection)
    for statement in SQLITE_INDEX:
        connection.exec_driver_sql(statement)


def _has_trigrams(connection: Connection) -> bool:
    try:
        with connection.begin_nested():
            probe = f"{SQLITE_TABLE}_probe"
            connection.exec_driver_sql(
                f"CREATE VIRTUAL TABLE temp.{probe} USING fts5(title, tokenize='{TOKENIZER}')"
            )
            connection.exec_driver_sql(f"DROP TABLE temp.{probe}")
    except OperationalError as error:
        log.info("searches have no index", reason=str(error.orig))
        return False
    return True


def _is_installed(connection: Connection) -> bool:
    """A restored database has none, and SQLite drops the triggers of a table that is copied."""
    triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    return set(SQLITE_TRIGGERS) <= set(connection.execute(text(triggers)).scalars())


def _sqlite_index() -> tuple[str, ...]:
    number = f"(SELECT number FROM {SQLITE_NUMBERS} WHERE video_id = {{id}})"  # noqa: S608 - names of ours
    insert = f"INSERT INTO {SQLITE_TABLE} (rowid, title) VALUES ({number.format(id='NEW.id')}, NEW.title)"  # noqa: S608 - as above
    delete = (
        f"INSERT INTO {SQLITE_TABLE} ({SQLITE_TABLE}, rowid, title) "  # noqa: S608 - as above
        f"VALUES ('delete', {number.format(id='OLD.id')}, OLD.title)"
    )
    bodies = (
        ("AFTER INSERT", "", f"INSERT INTO {SQLITE_NUMBERS} (video_id) VALUES (NEW.id); {insert}"),  # noqa: S608 - as above
        ("AFTER UPDATE OF title", "WHEN OLD.title IS NOT NEW.title ", f"{delete}; {insert}"),
        ("AFTER DELETE", "", f"{delete}; DELETE FROM {SQLITE_NUMBERS} WHERE video_id = OLD.id"),  # noqa: S608 - as above
    )
    return (
        f"CREATE TABLE {SQLITE_NUMBERS} (number INTEGER PRIMARY KEY, video_id VARCHAR NOT NULL UNIQUE)",
        f"CREATE VIRTUAL TABLE {SQLITE_TABLE} USING fts5(title, content='', detail=none, tokenize='{TOKENIZER}')",
        f"INSERT INTO {SQLITE_NUMBERS} (video_id) SELECT id FROM videos",  # noqa: S608 - as above
        f"INSERT INTO {SQLITE_TABLE} (rowid, title) "  # noqa: S608 - as above
        f"SELECT number, title FROM {SQLITE_NUMBERS} JOIN videos ON videos.id = video_id",
        *(
            f"CREATE TRIGGER {trigger} {event} ON videos FOR EACH ROW {condition}BEGIN {body}; END"
            for trigger, (event, condition, body) in zip(SQLITE_TRIGGERS, bodies, strict=True)
        ),
    )


SQLITE_INDEX = _sqlite_index()
