"""Search the logs of this process and its children for the secrets that tests use, at the end of the run."""

import json
import logging
import re
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import structlog
from pydantic import SecretStr

from tests.support.security_document import in_document
from videovault import installation, logs, security
from videovault.config import Settings, settings
from videovault.gateways.storage import Storage
from videovault.logs import redaction

SHORTEST = 8  # shorter ones would be found by chance
TAIL = 24  # last characters of a random secret, which identify it
RUNS = re.compile(rf"[\w-]{{{TAIL},}}", re.ASCII)

_used: set[str] = set()
_made: set[str] = set()  # tails of the secrets that this process has generated
_hidden: set[str] = set()  # secrets in the settings, which the product redacts
_logs: set[Path] = set()
_lines: dict[Path, int] = {}  # per searched log
_counts: list[tuple[int, int, int]] = []  # secrets, lines and logs, for each pytest process


def remember(*secrets: str) -> None:
    """Search for these too."""
    _used.update(secret for secret in secrets if len(secret) >= SHORTEST)


def watch(log: Path, **chosen: str) -> None:
    """Search this log too, also for the secrets in the settings of its process."""
    _logs.add(log)
    remember(*secrets_in(chosen))


def choose(chosen: Mapping[str, str]) -> None:
    """New settings of this process: their secrets are redacted, and searched for."""
    secrets = secrets_in(chosen)
    _hidden.update(secrets)
    remember(*secrets)


def secrets_in(chosen: Mapping[str, str]) -> list[str]:
    """Like ``Settings.secrets``, for settings that may be invalid: keys, and passwords in URLs."""
    secret = {name.upper() for name, field in Settings.model_fields.items() if _is_secret(field.default)}
    found = [part for name, value in chosen.items() if name in secret for part in (value, *value.split(","))]
    return [*found, *filter(None, map(_password, chosen.values()))]


def learn(data_dir: Path) -> None:
    """Search for the keys of the installation in ``data_dir`` and those of its videos."""
    file = data_dir / "installation.json"
    if not file.exists():
        return
    made = json.loads(file.read_text())
    remember(made["secret_key"], made["s3_secret_key"])
    remember(*_video_keys(data_dir, made["secret_key"]))


def leaks() -> list[str]:
    """The places of secrets in logs, with their beginning only."""
    found = []
    for log in sorted(path for path in _logs if path.exists()):
        text = log.read_text(errors="replace")
        _lines[log] = text.count("\n")
        secrets = {secret for secret in _used if secret in text} | _tails(text)
        found += [f"{log}: {secret[:4]}… ({len(secret)} characters)" for secret in secrets]
    return found


@pytest.fixture(scope="session", autouse=True)
def own_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """This process's log, in the product's format. Set up before any process starts, so it is searched last."""
    log = tmp_path_factory.mktemp("logs") / "tests.log"
    watch(log)
    with log.open("w") as file, _remembering(), _logging_to(logging.StreamHandler(file)):
        yield log
    assert leaks() == []


@pytest.fixture(autouse=True)
def _logging_as_before(own_log: Path) -> Iterator[None]:
    """Restore logging after a test that configured it."""
    del own_log
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks


def pytest_sessionfinish(session: pytest.Session) -> None:
    counted = (len(_used) + len(_made), sum(_lines.values()), len(_lines))
    if hasattr(session.config, "workeroutput"):  # of pytest-xdist
        session.config.workeroutput["log_grep"] = counted
    else:
        _counts.append(counted)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Count the result of a pytest-xdist worker that has ended."""
    _counts.append(getattr(node, "workeroutput", {}).get("log_grep", (0, 0, 0)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    secrets, lines, logs_ = (sum(numbers) for numbers in zip((0, 0, 0), *_counts, strict=True))
    if not logs_:
        return
    told = f"looked for {secrets} secrets in {lines} lines of {logs_} logs"
    terminalreporter.write_line(f"log grep: {told}")
    config = terminalreporter.config
    if config.args_source is config.ArgsSource.TESTPATHS and not config.getoption("keyword"):
        in_document(config, "log grep", f"The last whole run that was written down {told}.")


@contextmanager
def _logging_to(handler: logging.Handler) -> Iterator[None]:
    """The product's logging, except its hooks for uncaught exceptions, which pytest needs."""
    hooks, root = (sys.excepthook, threading.excepthook), logging.getLogger()
    logs.configure("text", "info")
    sys.excepthook, threading.excepthook = hooks
    [product] = root.handlers
    assert isinstance(product.formatter, structlog.stdlib.ProcessorFormatter)
    before, last = product.formatter.processors[:-1], product.formatter.processors[-1]
    product.formatter.processors = [*before, _hide_settings, last]
    handler.setFormatter(product.formatter)
    root.handlers = [handler]
    yield
    root.removeHandler(handler)


def _hide_settings(logger: Any, method: str, event: Any) -> Any:
    """As the product does with the settings at its start."""
    return redaction.processor(_hidden)(logger, method, event)


@contextmanager
def _remembering() -> Iterator[None]:
    """Record all secrets that are generated in the block."""

    def noting(make: Callable[..., str], secret_of: Callable[[str], str] = str) -> Callable[..., str]:
        def made(*given: Any, **named: Any) -> str:
            secret = make(*given, **named)
            _made.add(secret_of(secret)[-TAIL:])
            return secret

        return made

    def loaded(data_dir: Path, load: Any = installation.load_or_create) -> installation.Installation:
        found: installation.Installation = load(data_dir)
        _made.update(key[-TAIL:] for key in (found.secret_key, found.s3_secret_key))
        return found

    def uncached(**given: Any) -> None:
        """Otherwise no test could capture logs after logging was configured once."""
        configure(**{**given, "cache_logger_on_first_use": False})

    configure = structlog.configure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", uncached)
        patch.setattr(installation, "load_or_create", loaded)
        for name in ("new_token", "new_secret_key", "sign"):
            patch.setattr(security, name, noting(getattr(security, name)))
        patch.setattr(Storage, "presign", noting(Storage.presign, _signature))
        yield


def _signature(url: str) -> str:
    return parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]


def _tails(text: str) -> set[str]:
    """Those of ``_made`` in the text, searched in long runs of characters only, since both are many."""
    return {
        run[start : start + TAIL]
        for run in RUNS.findall(text)
        for start in range(len(run) - TAIL + 1)
        if run[start : start + TAIL] in _made
    }


def _is_secret(default: object) -> bool:
    return isinstance(default, SecretStr)


def _password(value: str) -> str:
    try:
        return unquote(urlsplit(value).password or "")
    except ValueError:
        return ""


def _video_keys(data_dir: Path, sealing_key: str) -> list[str]:
    database = data_dir / "videovault.db"
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT sealed_key, owner_id, id FROM videos").fetchall()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_KEY", sealing_key)
        settings.cache_clear()
        opened = [security.unseal(sealed, owner_id=owner, video_id=video) for sealed, owner, video in rows]
    settings.cache_clear()
    return [key for key in opened if key]
