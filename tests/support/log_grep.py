"""The secrets that tests use are looked for in the logs of this process and all that it starts, at the end of the run."""

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

SHORTEST = 8  # anything shorter would be found by chance
TAIL = 24  # characters at the end of what is made at random, by which it is found
RUNS = re.compile(rf"[\w-]{{{TAIL},}}", re.ASCII)

_used: set[str] = set()
_made: set[str] = set()  # the tails of what this process has made
_hidden: set[str] = set()  # of the settings: what the product knows to hide
_logs: set[Path] = set()
_lines: dict[Path, int] = {}  # of the logs searched so far
_counts: list[tuple[int, int, int]] = []  # secrets, lines and logs, of each process of pytest


def remember(*secrets: str) -> None:
    """Have these looked for."""
    _used.update(secret for secret in secrets if len(secret) >= SHORTEST)


def watch(log: Path, **chosen: str) -> None:
    """Have this log searched, also for what is secret among the settings of its process."""
    _logs.add(log)
    remember(*secrets_in(chosen))


def choose(chosen: Mapping[str, str]) -> None:
    """This process has other settings: what is secret among them is hidden, and looked for."""
    secrets = secrets_in(chosen)
    _hidden.update(secrets)
    remember(*secrets)


def secrets_in(chosen: Mapping[str, str]) -> list[str]:
    """As ``config.hidden``, of settings that need not be right: keys, and the passwords in addresses."""
    secret = {name.upper() for name, field in Settings.model_fields.items() if _is_secret(field.default)}
    found = [part for name, value in chosen.items() if name in secret for part in (value, *value.split(","))]
    return [*found, *filter(None, map(_password, chosen.values()))]


def learn(data_dir: Path) -> None:
    """Remember the keys of an installation that has run there, and those of its videos."""
    file = data_dir / "installation.json"
    if not file.exists():
        return
    made = json.loads(file.read_text())
    remember(made["secret_key"], made["s3_secret_key"])
    remember(*_video_keys(data_dir, made["secret_key"]))


def leaks() -> list[str]:
    """Where something was found, without repeating it."""
    found = []
    for log in sorted(path for path in _logs if path.exists()):
        text = log.read_text(errors="replace")
        _lines[log] = text.count("\n")
        secrets = {secret for secret in _used if secret in text} | _tails(text)
        found += [f"{log}: {secret[:4]}… ({len(secret)} characters)" for secret in secrets]
    return found


@pytest.fixture(scope="session", autouse=True)
def own_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What this process logs, as the product would. Begins before any process is started and so ends after the last one."""
    log = tmp_path_factory.mktemp("logs") / "tests.log"
    watch(log)
    with log.open("w") as file, _remembering(), _logging_to(logging.StreamHandler(file)):
        yield log
    assert leaks() == []


@pytest.fixture(autouse=True)
def _logging_as_before(own_log: Path) -> Iterator[None]:
    """A test may set logging up as a process of its own does."""
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
    """One of pytest-xdist's workers has ended."""
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
    """The product's own logging, but for what it does about exceptions that pytest has to see."""
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
    """The product does it in the same way, by the settings that it has when it starts."""
    return redaction.processor(_hidden)(logger, method, event)


@contextmanager
def _remembering() -> Iterator[None]:
    """Everything that is made while this lasts, and must not be read in a log."""

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
        """Or no test could capture what is logged, once somebody has set logging up."""
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
    """Those of ``_made`` that are in the text. Only inside long runs: there are too many of both to look for each."""
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
