"""Lines are written by a thread of their own: none waits, none is lost without a word, none is late at the end."""

import json
import logging
import subprocess
import sys

import pytest

from tests.logs.conftest import Output
from videovault import logs
from videovault.logs import redaction
from videovault.logs.writer import MAX_LINES

pytestmark = pytest.mark.thorough

CONFIGURED = (
    "from videovault import logs; import sys; logs.configure('json', 'info'); log = logs.get('test'); "
)
MANY = MAX_LINES * 5
ENDINGS = {
    "by itself": "",
    "by an exit": "sys.exit(3)",
    "by a fault": "raise ValueError('token=my-own-token')",
}


def run(program: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", CONFIGURED + "\n" + program]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_process_that_ends_has_written_every_line(ending: str) -> None:
    number = MAX_LINES // 2
    with run(f"[log.info('line', number=n) for n in range({number})]; {ending}") as process:
        _, written = process.communicate(timeout=60)
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["number"] for line in lines[:number]] == list(range(number))
    assert [line["event"] for line in lines[number:]] == (["uncaught exception"] if "raise" in ending else [])
    assert b"my-own" not in written


def test_nothing_waits_for_a_reader_and_the_lines_that_are_missing_are_counted() -> None:
    """More than fits into the pipe and the queue is logged before the first line is read."""
    program = f"[log.info('line', text='x' * 1000) for _ in range({MANY})]; print('done', flush=True); sys.stdin.read()"
    with run(program) as process:
        assert process.stdout
        assert process.stdout.readline() == b"done\n"
        _, written = process.communicate(timeout=60)
    lines = [json.loads(line) for line in written.splitlines()]
    dropped = sum(line["number"] for line in lines if line["event"] == "log lines dropped")
    assert dropped > 0
    assert dropped + sum(line["event"] == "line" for line in lines) == MANY


def test_a_librarys_line_has_the_ids_of_the_request_that_it_belongs_to(written: Output) -> None:
    with logs.context(request_id="0f8fad5b"):
        logging.getLogger("engineio.server").error("fault")
    assert "0f8fad5b" in written.getvalue()


def test_a_librarys_own_handlers_write_nothing(capsys: pytest.CaptureFixture[str], written: Output) -> None:
    capsys.readouterr()
    for name in ("engineio.server", "socketio.server", "_granian", "granian.access"):
        logger = logging.getLogger(name)
        assert logger.handlers == []
        logger.error("password=my-own-pass")
    assert written.getvalue().count("[hidden]") == 4
    assert capsys.readouterr().err == ""


UNSPEAKABLE = """
class Unspeakable:
    def __repr__(self):
        raise RecursionError("my-own-token")

import logging
logging.getLogger("library").error("%s of %s", Unspeakable(), "my-own-token")
log.error("fault", what=Unspeakable(), token="my-own-token")
log.error("next")
"""
NESTED = """
deep = []
for _ in range(100_000):
    deep = [deep]
log.info("nested", deep=deep, wide=list(range(100_000)), named={"x" * 5000: "y" * 5000})
"""


def test_a_line_that_cannot_be_written_fails_nobody_and_shows_none_of_its_arguments() -> None:
    with run(UNSPEAKABLE) as process:
        _, written = process.communicate(timeout=60)
    assert process.returncode == 0
    assert written.count(b"is lost: RecursionError") == 2
    assert b'"event": "next"' in written
    assert b"my-own" not in written


def test_what_is_nested_or_long_is_bounded_too() -> None:
    with run(NESTED) as process:
        _, written = process.communicate(timeout=60)
    said = json.loads(written)
    assert said["deep"] == [[["…"]]]
    assert said["wide"] == list(range(redaction.MAX_ENTRIES))
    assert len(written) < 10_000
