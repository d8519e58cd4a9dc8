"""Counters of videos and bytes per account and in total, kept by database triggers in the transaction of each change.

Triggers also see what a process of an earlier version writes during a rolling upgrade. A total is spread over several
rows, so that transactions of different accounts seldom wait for each other.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, text

TABLE = "counters"
TOTAL_PREFIX = "total-"
STATES = ("draft", "generating", "queued", "storing", "ready", "failed", "deleting")
COLUMNS = ("accounts", *STATES, "ready_bytes", "copy_bytes", "reserved_bytes")
TRIGGERS = tuple(
    f"count_{table}_{change}" for table in ("videos", "users") for change in ("insert", "update", "delete")
)
WATCHED = {"videos": ("owner_id", "status", "size", "copy_size", "reserved_bytes"), "users": ("closed_at",)}
TOTAL_ROWS = 16  # on PostgreSQL; SQLite has one writer
FUNCTION = "videovault_{trigger}"


def install(connection: Connection) -> None:
    """Create the triggers and count what exists. Writers wait until the transaction ends."""
    is_postgres = connection.dialect.name == "postgresql"
    if is_postgres:  # in the order in which a change of a video takes them
        connection.execute(text(f"LOCK TABLE videos, users, {TABLE} IN SHARE ROW EXCLUSIVE MODE"))
    remove(connection)
    for statement in _postgres_triggers() if is_postgres else _sqlite_triggers():
        connection.exec_driver_sql(statement)
    recount(connection)


def remove(connection: Connection) -> None:
    """Drop the triggers. Their functions stay: tables that a restore set aside may still refer to them."""
    for trigger in TRIGGERS:
        on_table = f" ON {trigger.split('_')[1]}" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger}{on_table}")


def are_installed(connection: Connection) -> bool:
    """Whether all triggers work: a restored database has none, and SQLite drops those of a table that is copied."""
    if connection.dialect.name == "postgresql":
        names = (  # enabled ones, not only those of a replica
            "SELECT tgname FROM pg_trigger WHERE tgenabled IN ('O', 'A') "
            "AND tgrelid IN (to_regclass('videos'), to_regclass('users'))"
        )
    else:
        names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    return set(TRIGGERS) <= set(connection.execute(text(names)).scalars())


def recount(connection: Connection) -> None:
    """Replace every counter by a count of the rows. The caller keeps others from writing."""
    added = ", ".join(COLUMNS)
    connection.exec_driver_sql(f"DELETE FROM {TABLE}")  # noqa: S608 - names of ours
    connection.exec_driver_sql(f"INSERT INTO {TABLE} (scope, {added}) {_counted()}")
    recount_totals(connection)


def recount_totals(connection: Connection) -> None:
    """Replace the totals by the sums of the accounts. The caller keeps others from writing."""
    sums = ", ".join(f"SUM({column})" for column in COLUMNS)
    connection.exec_driver_sql(f"DELETE FROM {TABLE} WHERE scope LIKE '{TOTAL_PREFIX}%%'")  # noqa: S608 - names of ours
    connection.exec_driver_sql(
        f"INSERT INTO {TABLE} (scope, {', '.join(COLUMNS)}) "  # noqa: S608 - names of ours
        f"SELECT {_total(connection.dialect.name, 'scope')} AS total, {sums} FROM {TABLE} GROUP BY total"
    )


def recount_account(connection: Connection, user_id: str) -> bool:
    """Correct the counters of one account, and the total by the difference; whether they were wrong.

    The account's row is made or locked first: a change that is not committed yet is counted by the wait or by its
    trigger.
    """
    given, columns = {"scope": user_id}, ", ".join(COLUMNS)
    account = "SELECT 1 FROM users WHERE id = :scope"
    if connection.dialect.name == "postgresql":
        account += " FOR KEY SHARE"
    if (
        connection.execute(text(account), given).first() is None
    ):  # deleted meanwhile, and its counters with it
        return False
    connection.execute(text(_adding(":scope", "+", ["0"] * len(COLUMNS))), given)
    kept = f"SELECT {columns} FROM {TABLE} WHERE scope = :scope"  # noqa: S608 - names of ours
    before = connection.execute(text(kept), given).one()
    after = connection.execute(text(_counted("WHERE users.id = :scope")), given).one()[1:]
    changes = {column: int(new) - old for column, new, old in zip(COLUMNS, after, before, strict=True)}
    if not any(changes.values()):
        return False
    for scope in (":scope", _total(connection.dialect.name, ":scope")):
        added = _adding(scope, "+", [f":{column}" for column in COLUMNS])
        connection.execute(text(added), given | changes)
    return True


def _counted(where: str = "") -> str:
    """Selects the id of each account, and ``COLUMNS`` counted from the rows."""
    counted = ", ".join(f"COALESCE(SUM({value}), 0)" for value in _values("videos")[1:])
    return (
        f"SELECT users.id, {_is_open('MAX(users.closed_at)')}, {counted} "  # noqa: S608 - names of ours
        f"FROM users LEFT JOIN videos ON videos.owner_id = users.id {where} GROUP BY users.id"
    )


def _total(dialect: str, owner: str) -> str:
    """The row of the total to which an account belongs."""
    number = f"(hashtext({owner}) & {TOTAL_ROWS - 1})" if dialect == "postgresql" else "0"
    return f"('{TOTAL_PREFIX}' || {number})"


def _is_open(closed_at: str) -> str:
    return f"CASE WHEN {closed_at} IS NULL THEN 1 ELSE 0 END"


def _values(record: str) -> list[str]:
    """What a row of ``videos`` adds to each of ``COLUMNS``."""
    ready = f"{record}.status = 'ready'"
    return [
        "0",
        *(f"CASE WHEN {record}.status = '{state}' THEN 1 ELSE 0 END" for state in STATES),
        f"CASE WHEN {ready} THEN COALESCE({record}.size, 0) ELSE 0 END",
        f"CASE WHEN {ready} THEN COALESCE({record}.copy_size, 0) ELSE 0 END",
        f"CASE WHEN {ready} THEN 0 ELSE {record}.reserved_bytes END",
    ]


def _changes(table: str, change: str, dialect: str) -> Iterator[str]:
    """The statements of a trigger. The account's row comes before the total's, so that the locks have one order."""
    records = {"insert": ("+NEW",), "update": ("-OLD", "+NEW"), "delete": ("-OLD",)}[change]
    owner = "owner_id" if table == "videos" else "id"
    scopes = [(f"{each[1:]}.{owner}", each) for each in records]
    for scope, each in [*scopes, *((_total(dialect, scope), each) for scope, each in scopes)]:
        sign, record = each[0], each[1:]
        if table == "videos":
            values = _values(record)
        else:
            values = [_is_open(f"{record}.closed_at"), *["0"] * (len(COLUMNS) - 1)]
        yield _adding(scope, sign, values)
    if (table, change) == ("users", "delete"):
        yield f"DELETE FROM {TABLE} WHERE scope = OLD.id"  # noqa: S608 - names of ours


def _adding(scope: str, sign: str, values: list[str]) -> str:
    columns = ", ".join(COLUMNS)
    added = ", ".join(f"{sign}({value})" for value in values)
    summed = ", ".join(f"{column} = {TABLE}.{column} + excluded.{column}" for column in COLUMNS)
    return (
        f"INSERT INTO {TABLE} (scope, {columns}) VALUES ({scope}, {added}) "  # noqa: S608 - names of ours
        f"ON CONFLICT (scope) DO UPDATE SET {summed}"
    )


def _event(trigger: str, differs: str) -> tuple[str, str]:
    """The event of a trigger, and its condition."""
    _, table, change = trigger.split("_")
    if change != "update":
        return change.upper(), ""
    watched = WATCHED[table]
    condition = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in watched)
    return f"UPDATE OF {', '.join(watched)}", f"WHEN ({condition}) "


def _sqlite_triggers() -> Iterator[str]:
    for trigger in TRIGGERS:
        _, table, change = trigger.split("_")
        event, condition = _event(trigger, "IS NOT")
        body = "; ".join(_changes(table, change, "sqlite"))
        yield f"CREATE TRIGGER {trigger} AFTER {event} ON {table} FOR EACH ROW {condition}BEGIN {body}; END"


def _postgres_triggers() -> Iterator[str]:
    for trigger in TRIGGERS:
        _, table, change = trigger.split("_")
        event, condition = _event(trigger, "IS DISTINCT FROM")
        body, function = "; ".join(_changes(table, change, "postgresql")), FUNCTION.format(trigger=trigger)
        yield (
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {body}; RETURN NULL; END $$"
        )
        yield (
            f"CREATE TRIGGER {trigger} AFTER {event} ON {table} FOR EACH ROW {condition}"
            f"EXECUTE FUNCTION {function}()"
        )
