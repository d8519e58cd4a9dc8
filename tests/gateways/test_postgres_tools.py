"""PostgreSQL's client programs: versions are checked, and missing programs are named."""

import os
from pathlib import Path

import pytest

from videovault.errors import ConfigurationError
from videovault.gateways import postgres_tools


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def make(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.usefixtures("programs")
def test_missing_program_is_named() -> None:
    with pytest.raises(
        ConfigurationError, match="pg_dump is not installed: install PostgreSQL's client programs"
    ):
        postgres_tools.require_version("pg_dump", 15)


def test_program_older_than_the_server_is_refused(programs: Path) -> None:
    make(programs, "pg_dump", "echo 'pg_dump (PostgreSQL) 13.4 (Debian 13.4-1)'")
    assert postgres_tools.require_version("pg_dump", 13) == 13
    with pytest.raises(ConfigurationError, match="is of PostgreSQL 13, but version 15 or newer is needed"):
        postgres_tools.require_version("pg_dump", 15)


def test_other_program_of_that_name_is_refused(programs: Path) -> None:
    make(programs, "pg_dump", "echo hello")
    with pytest.raises(ConfigurationError, match="does not print its version"):
        postgres_tools.require_version("pg_dump", 15)


def test_error_is_passed_on_and_the_password_is_not_on_the_command_line(programs: Path) -> None:
    fails = f'echo "$@" > {programs}/arguments; echo "$PGPASSWORD" >&2; exit 1'
    make(programs, "pg_restore", f'case "$*" in *--list*) exit 0;; esac; {fails}')
    dsn = "postgresql+psycopg://me:s3same@db.example:5433/vault?sslmode=require"
    with pytest.raises(ConfigurationError, match="pg_restore failed: s3same"):
        postgres_tools.restore(dsn, programs / "dump")
    arguments = (programs / "arguments").read_text()
    assert "--dbname=postgresql://me@db.example:5433/vault?" in arguments
    assert "sslmode=require" in arguments
    assert "s3same" not in arguments
    assert os.environ.get("PGPASSWORD") != "s3same"
