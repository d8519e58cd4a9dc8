"""Output of `python -m videovault doctor`: what this installation depends on, and what is wrong with it."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

from videovault.commands.output import console, plain
from videovault.config import settings
from videovault.errors import ConfigurationError
from videovault.services.maintenance import doctor
from videovault.services.maintenance.doctor import Circumstances, Finding, State

# Exit statuses by the worst finding.
STATUS: Mapping[State, int] = {"ok": 0, "skipped": 0, "warning": 1, "broken": 2}
SUMMARY: Mapping[State, str] = {
    "broken": "broken",
    "warning": "with a warning",
    "ok": "ok",
    "skipped": "not checked",
}


def run(
    app_is_running: Callable[[], bool], start_page: Callable[[], str], *, shared: bool, as_json: bool
) -> int:
    """Print each finding; the exit status is 0 if all is well, 1 with warnings only, and 2 if something is broken."""
    found: list[Finding] = []
    for finding in _findings(app_is_running, start_page, shared=shared):
        found.append(finding)
        if not as_json:
            _print(_lines(finding))
    status = max(STATUS[finding.state] for finding in found)
    if as_json:
        state = next(state for state in ("broken", "warning", "ok") if STATUS[state] == status)
        _print([json.dumps({"state": state, "checks": [asdict(each) for each in found]}, indent=2)])
    else:
        _print(["", _summary(found)])
    return status


def _findings(
    app_is_running: Callable[[], bool], start_page: Callable[[], str], *, shared: bool
) -> Iterator[Finding]:
    try:
        settings()
    except ConfigurationError as error:
        advice = "Correct it in the environment or in .env; .env.example describes every setting."
        yield Finding("settings", "Settings", "broken", error.public_message, advice)
        return
    yield Finding("settings", "Settings", "ok", "All settings are valid.")
    is_running = False
    with suppress(OSError):  # DATA_DIR cannot be used, which has a line of its own
        is_running = app_is_running()
    yield from doctor.examine(Circumstances(_jobs_waiting, is_running, start_page(), shared))


def _jobs_waiting() -> int:
    """Changes nothing, while opening a queue creates its tables and drops a damaged file."""
    from videovault import worker

    dsn = settings().queue_dsn
    if dsn.startswith("sqlite"):
        return _count_jobs(Path(dsn.removeprefix("sqlite:///")), worker.NAME)
    if settings().uses_postgres_queue:
        from videovault import postgres  # its driver takes 100 ms to import

        if problem := postgres.queue_problem(dsn):
            raise ConfigurationError(problem)
    return int(worker.queue().huey.pending_count())


def _count_jobs(file: Path, queue: str) -> int:
    """Raises sqlite3.DatabaseError for a damaged file."""
    if not file.exists():
        return 0
    # Without a log no process has it open, and reading it would create one.
    mode = "mode=ro" if file.with_name(f"{file.name}-wal").exists() else "immutable=1"
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?{mode}", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'task'").fetchone():
            return 0
        row = connection.execute("SELECT count(*) FROM task WHERE queue = ?", (queue,)).fetchone()
        return int(row[0])


def _lines(finding: Finding) -> Iterator[str]:
    first, *more = finding.found.splitlines()
    yield f"{finding.state:<8} {finding.title}: {first}"
    yield from (f"{'':<8} {line}" for line in more)
    if finding.state in ("warning", "broken"):
        yield from (f"{'':<8}   {detail}" for detail in finding.details)
        yield from (f"{'':<8} → {line}" for line in finding.advice.splitlines())


def _summary(found: Iterable[Finding]) -> str:
    counts = Counter(finding.state for finding in found)
    return ", ".join(f"{counts[state]} {word}" for state, word in SUMMARY.items() if counts[state]) + "."


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        for part in line.split("\n"):
            console().print(plain(part))
