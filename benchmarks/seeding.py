"""A database with a million rows of each large table, written by the database itself in about two minutes."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from videovault import db

OWNER_ID = "{number:032x}"
TEXTS = ("topic", "hook", "body", "conclusion", "company_name", "social_handles", "license", "avatar")
WORDS = (
    "Sourdough",
    "Kettle",
    "Lantern",
    "Harbour",
    "Meadow",
    "Violin",
    "Comet",
    "Marble",
    "Thistle",
    "Walnut",
)
RARE = "Zeppelin"  # in one title of ten thousand
EVENT_KINDS = ("status", "stored", "links", "download", "login", "renamed")


def seed(owners: int, per_owner: int, events: int) -> list[str]:
    """Fill the migrated database of the settings; returns the owners' ids. Videos of an owner are a minute apart."""
    ids = [OWNER_ID.format(number=number) for number in range(1, owners + 1)]
    with db.engine().begin() as connection:
        is_postgres = connection.dialect.name == "postgresql"
        _drop_triggers(connection)
        for statement in _statements(is_postgres, owners, owners * per_owner, events):
            connection.execute(text(statement))
    if is_postgres:
        with db.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    db.migrate()  # counts, and creates the triggers again
    return ids


def _drop_triggers(connection: Connection) -> None:
    """A trigger for each of a million rows would take minutes; there are none in earlier versions."""
    try:
        from videovault import counters
    except ImportError:
        return
    counters.remove(connection)


def _statements(is_postgres: bool, owners: int, videos: int, events: int) -> Sequence[str]:
    if is_postgres:

        def numbers(count: int) -> str:
            return f"generate_series(1, {count}) AS t(n)"

        def pad(value: str, length: int) -> str:
            return f"lpad(to_hex({value}), {length}, '0')"

        def ago(minutes: str) -> str:
            return f"now() - ({minutes}) * interval '1 minute'"
    else:

        def numbers(count: int) -> str:
            counting = f"SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {count}"  # noqa: S608 - a number of ours
            return f"(WITH RECURSIVE t(n) AS ({counting}) SELECT n FROM t)"  # noqa: S608 - constants

        def pad(value: str, length: int) -> str:
            return f"printf('%0{length}x', {value})"

        def ago(minutes: str) -> str:
            return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', (0 - {minutes}) || ' minutes')"

    owner = pad(f"(n - 1) % {owners} + 1", 32)
    age = f"(n / {owners})"
    no, yes = ("false", "true") if is_postgres else ("0", "1")
    word = f"CASE {age} % 10 " + " ".join(f"WHEN {i} THEN '{word}'" for i, word in enumerate(WORDS)) + " END"
    kind = "CASE n % 6 " + " ".join(f"WHEN {i} THEN '{name}'" for i, name in enumerate(EVENT_KINDS)) + " END"
    video_id = f"'video_' || {pad('n', 13)} || '_abcdefghi'"
    is_rendered = f"{age} > 2"  # two of each owner are still with a generator
    state = (
        f"CASE WHEN NOT {is_rendered} THEN 'generating' WHEN {age} < 6 THEN 'draft'"
        f" WHEN {age} % 100 < 97 THEN 'ready' ELSE 'failed' END"
    )
    texts = ", ".join(TEXTS)
    return (
        "INSERT INTO users (id, email, name, password_hash, is_admin, is_active, created_at)"  # noqa: S608 - constants
        f" SELECT {pad('n', 32)}, 'person' || n || '@example.com', 'Person ' || n, '-', {no}, {yes}, {ago('n')}"
        f" FROM {numbers(owners)}",
        "INSERT INTO videos (id, owner_id, title, status, attempt, has_derived_title, asks, s3_key, poster_key,"  # noqa: S608 - constants
        f" sealed_key, reserved_bytes, bytes_done, size, duration, copy_tries, share_views, {texts},"
        " created_at, updated_at, requested_at, queued_at, deadline_at)"
        f" SELECT {video_id}, {owner}, {word} || CASE WHEN {age} % 10000 = 7 THEN ' {RARE} ' ELSE ' and friends ' END"
        f" || n, {state}, 1, {no}, 0, 'videos/' || {owner} || '/' || {video_id} || '/1_film.mp4', NULL,"
        f" 'sealed', 0, 0, {age} % 5000 * 1000, {age} % 600, 0, 0, {', '.join(repr('Some words of the script') for _ in TEXTS)},"
        f" {ago(age)}, {ago(age)}, {ago(age)}, {ago(age)},"
        f" CASE WHEN {is_rendered} THEN NULL ELSE {ago('(-50000)')} END FROM {numbers(videos)}",
        "INSERT INTO events (at, kind, actor_id, video_id, client_ip, times, detail)"  # noqa: S608 - constants
        f" SELECT {ago(f'(({events} - n) / 20)')}, {kind}, {owner}, {video_id},"
        f" '10.' || n % 5 || '.' || n % 200 || '.7', 1, '{{\"to\": \"ready\", \"size\": 1000}}' FROM {numbers(events)}",
        "INSERT INTO deliveries (at, direction, address, kind, video_id, headers, body, is_cut, answer, verdict, why,"  # noqa: S608 - constants
        f" outcome) SELECT {ago('n')}, CASE WHEN n % 50 = 0 THEN 'in' ELSE 'out' END, '', 'callback', {video_id},"
        f" '{{}}', '', {no}, '', 'accepted', '', '' FROM {numbers(min(events, 100_000))}",
    )
