"""PostgreSQL's client programs: pg_dump writes a consistent copy of a database, pg_restore loads it."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import make_url

from videovault.errors import ConfigurationError

CONNECT_SECONDS = "15"
LOCK_WAIT = "60s"
VERSION_SECONDS = 15
RUN_SECONDS = 24 * 3600.0  # of a dump or a restore
KEEPALIVES = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}  # a lost server ends it
_NOT_RESTORED = re.compile(r"^\d+; \d+ \d+ (TRIGGER |INDEX \S+ ix_videos_search_)")


def major_version(program: str) -> int:
    """The version of ``pg_dump`` or ``pg_restore``. Raises ConfigurationError when it is not installed."""
    found = shutil.which(program)
    if found is None:
        raise ConfigurationError(
            f"{program} is not installed: install PostgreSQL's client programs (Debian: postgresql-client)."
        )
    output = subprocess.run(  # noqa: S603 - a program of PostgreSQL's
        [found, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
    ).stdout
    number = re.search(r"(\d+)(?:\.\d+)*", output)
    if number is None:
        raise ConfigurationError(f"{found} does not print its version: is it PostgreSQL's?")
    return int(number[1])


def require_version(program: str, min_version: int) -> int:
    """The program's major version. Raises ConfigurationError when it is missing or older than ``min_version``."""
    major = major_version(program)
    if major < min_version:
        raise ConfigurationError(
            f"{program} is of PostgreSQL {major}, but version {min_version} or newer is needed: install postgresql-client-{min_version}."
        )
    return major


def dump(dsn: str, snapshot: str, tables: Iterable[str], target: Path) -> None:
    """Write these tables as of the exported ``snapshot``. Raises ConfigurationError with pg_dump's error."""
    table_options = [f'--table="{table}"' for table in tables]
    options = ["--format=custom", f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_WAIT}"]
    _run("pg_dump", dsn, *options, *table_options, f"--file={target}")


def restore(dsn: str, source: Path) -> None:
    """Create the dump's tables in one transaction. Raises ConfigurationError with pg_restore's error.

    Without triggers and search indexes, whose functions a dump of tables lacks: migrating creates them again.
    """
    listed = _run("pg_restore", None, "--list", str(source))
    kept = [line for line in listed.splitlines() if not _NOT_RESTORED.search(line)]
    with tempfile.NamedTemporaryFile("w", suffix=".list") as contents:
        contents.write("\n".join(kept))
        contents.flush()
        options = ("--single-transaction", "--exit-on-error", f"--use-list={contents.name}")
        _run("pg_restore", dsn, *options, str(source))


def _run(program: str, dsn: str | None, *arguments: str) -> str:
    """The program's output; ``dsn`` None: it needs no server.

    The password is passed in the environment, since every user of the machine can read command lines.
    """
    environment = os.environ | {"PGCONNECT_TIMEOUT": CONNECT_SECONDS, "LC_ALL": "C"}
    command = [program, "--no-owner", "--no-privileges", *arguments]
    if dsn is not None:
        url = make_url(dsn)
        address = url._replace(drivername="postgresql", password=None)  # set() keeps a password
        address = address.update_query_dict(KEEPALIVES)
        command[1:1] = [f"--dbname={address.render_as_string()}", "--no-password"]
        if url.password:
            environment |= {"PGPASSWORD": url.password}
    try:
        completed = subprocess.run(  # noqa: S603 - a program of PostgreSQL's
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(f"{program} did not end within {RUN_SECONDS / 3600:.0f} hours.") from error
    if completed.returncode:
        reason = next((line for line in completed.stderr.splitlines() if line.strip()), "no error message")
        raise ConfigurationError(f"{program} failed: {reason.strip()}")
    return completed.stdout
