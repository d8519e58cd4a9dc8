"""PostgreSQL's programs: told apart by version, and asked for in a sentence where they are missing."""

import os
from pathlib import Path

import pytest

from videovault.errors import ConfigurationError
from videovault.gateways import postgres_tools


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def make(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.usefixtures("programs")
def test_a_missing_program_is_asked_for() -> None:
    with pytest.raises(
        ConfigurationError, match="pg_dump is not installed: install PostgreSQL's client programs"
    ):
        postgres_tools.require_version("pg_dump", 15)


def test_an_older_program_than_the_server_is_refused(programs: Path) -> None:
    make(programs, "pg_dump", "echo 'pg_dump (PostgreSQL) 13.4 (Debian 13.4-1)'")
    assert postgres_tools.require_version("pg_dump", 13) == 13
    with pytest.raises(ConfigurationError, match="is of PostgreSQL 13, and version 15 or newer is needed"):
        postgres_tools.require_version("pg_dump", 15)


def test_another_program_of_that_name_is_refused(programs: Path) -> None:
    make(programs, "pg_dump", "echo hello")
    with pytest.raises(ConfigurationError, match="does not say its version"):
        postgres_tools.require_version("pg_dump", 15)


def test_the_programs_own_reason_is_told_and_the_password_is_on_no_command_line(programs: Path) -> None:
    make(programs, "pg_restore", f'echo "$@" > {programs}/arguments; echo "$PGPASSWORD" >&2; exit 1')
    dsn = "postgresql+psycopg://me:s3same@db.example:5433/vault?sslmode=require"
    with pytest.raises(ConfigurationError, match="pg_restore failed: s3same"):
        postgres_tools.restore(dsn, programs / "dump")
    said = (programs / "arguments").read_text()
    assert "--dbname=postgresql://me@db.example:5433/vault?sslmode=require" in said
    assert "s3same" not in said
    assert os.environ.get("PGPASSWORD") != "s3same"
