"""Each command imports only what it needs: a start takes CPU time and memory in proportion to its imports."""

import os
import subprocess
import sys
from pathlib import Path
from secrets import token_urlsafe

import pytest
from reflex_base.environment import environment

from tests.support.installation import ROOT
from videovault import installation as installation_file
from videovault.embedded import web_server

pytestmark = pytest.mark.process
WEB = {"reflex", "reflex_base", "fastapi", "starlette"}
SERVER = {"granian"}
CLIENTS = {"redis", "psycopg"}  # of other databases and queues than SQLite
RARELY_USED = {"rich", "email_validator", "alembic", "PIL", "av", "zxcvbn"}
# What an installation of several machines sets; only the web process needs Redis for it.
CLUSTER = {"SECRET_KEY": token_urlsafe(32), "REDIS_URL": "redis://127.0.0.1:1"}
# Runs a command as `python -m videovault` does, and lists the packages that were imported on stdout.
PROGRAM = """
import sys
from videovault.__main__ import main
try:
    main(sys.argv[1:])
    if sys.argv[1] == "worker":
        from videovault import worker
        worker._consumer()
except SystemExit:
    pass
print("imported:", *(name for name in sys.modules if sys.modules[name]))
"""


@pytest.mark.parametrize(
    ("command", "needed", "unneeded"),
    [
        ("--help", set(), {"sqlalchemy", "pydantic", "structlog", *WEB, *SERVER, *CLIENTS, *RARELY_USED}),
        ("migrate", {"sqlalchemy"}, {"huey", *WEB, *SERVER, *CLIENTS, *RARELY_USED}),
        ("worker", {"huey", "boto3", "httpx"}, {*WEB, *SERVER, *CLIENTS, *RARELY_USED}),
        (
            "transfer http://127.0.0.1:1/a.mp4",
            {"boto3"},
            {
                "sqlalchemy",
                "sqlmodel",
                "cryptography",
                "passlib",
                "huey",
                *WEB,
                *SERVER,
                *CLIENTS,
                *RARELY_USED,
            },
        ),
        (
            "backup --verify none",
            {"sqlalchemy"},
            {"huey", *WEB, *SERVER, *CLIENTS, *(RARELY_USED - {"rich"})},
        ),
        ("doctor", {"boto3"}, {"huey", *WEB, *SERVER, *(RARELY_USED - {"rich"})}),
        ("reconcile", {"boto3"}, {"huey", *WEB, *SERVER, *CLIENTS, *(RARELY_USED - {"rich"})}),
        ("bucket show", {"boto3"}, {"huey", *WEB, *SERVER, *CLIENTS, *(RARELY_USED - {"rich"})}),
        (
            "identity",
            {"sqlalchemy"},
            {"huey", "boto3", "httpx", *WEB, *SERVER, *CLIENTS, *(RARELY_USED - {"rich"})},
        ),
        ("run", {"sqlalchemy"}, {"huey", "boto3", "httpx", *WEB, *SERVER, *CLIENTS, *RARELY_USED}),
    ],
)
def test_command_imports_only_what_it_needs(
    installation: Path, command: str, needed: set[str], unneeded: set[str]
) -> None:
    if command in ("run", "worker"):  # both stop here, after their imports
        (installation / "var" / installation_file.RESTORE_MARKER).touch()
    imported = {name.partition(".")[0] for name in modules_of(installation, command)}
    assert (needed - imported, unneeded & imported) == (set(), set())


@pytest.mark.parametrize(
    ("command", "most"), [("--help", 130), ("transfer http://127.0.0.1:1/a.mp4", 760), ("worker", 1120)]
)
def test_a_start_imports_few_modules(installation: Path, command: str, most: int) -> None:
    """Each costs about half a millisecond. With the database, `transfer` imported 1,100."""
    if command == "worker":
        (installation / "var" / installation_file.RESTORE_MARKER).touch()
    assert len(modules_of(installation, command)) <= most


def test_the_servers_main_process_imports_nothing_but_the_server() -> None:
    """It runs as long as the app and does hardly anything."""
    imported = imported_with(web_server.SERVER, ROOT)
    unneeded = {"pydantic", "structlog", "sqlalchemy", "boto3", "httpx", "cryptography", *WEB, *CLIENTS}
    assert (SERVER - imported, unneeded & imported) == (set(), set())


def test_the_web_process_imports_only_what_it_needs(installation: Path) -> None:
    imported = imported_with("videovault.videovault", installation)
    # Reflex imports rich and redis.
    unneeded = {"huey", "psycopg", "requests", *(RARELY_USED - {"rich"})}
    assert (WEB - imported, unneeded & imported) == (set(), set())


def modules_of(folder: Path, command: str) -> list[str]:
    """All modules that a command has imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command.split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **CLUSTER},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.rpartition("imported: ")[2].split()


def imported_with(module: str, folder: Path) -> set[str]:
    """The packages that importing ``module`` imports, in a new process in ``folder``."""
    program = (
        f"import sys, {module}; print('imported:', *(name for name in sys.modules if sys.modules[name]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            **CLUSTER,
            **dict.fromkeys(web_server.SERVE_BUILT_PAGES, "True"),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return {name.partition(".")[0] for name in done.stdout.rpartition("imported: ")[2].split()}


def test_names_of_reflex_settings_match() -> None:
    """They are set as text, so that the main process need not import Reflex."""
    settings = (environment.REFLEX_SKIP_COMPILE, environment.REFLEX_MOUNT_FRONTEND_COMPILED_APP)
    assert tuple(each.name for each in settings) == web_server.SERVE_BUILT_PAGES
