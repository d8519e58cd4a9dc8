"""Log lines are written by a separate thread: callers never wait, and lost lines are counted."""

import json
import logging
import subprocess
import sys

import pytest

from tests.logs.conftest import Output
from videovault import logs
from videovault.logs import MAX_LINES, redaction

pytestmark = pytest.mark.thorough

CONFIGURED = (
    "from videovault import logs; import sys; logs.configure('json', 'info'); log = logs.get('test'); "
)
MANY = MAX_LINES * 2
ENDINGS = {
    "by itself": "",
    "by an exit": "sys.exit(3)",
    "by a fault": "raise ValueError('token=my-own-token')",
}


def run(program: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", CONFIGURED + "\n" + program]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_every_line_is_written_when_the_process_ends(ending: str) -> None:
    number = MAX_LINES // 2
    with run(f"[log.info('line', number=n) for n in range({number})]; {ending}") as process:
        _, written = process.communicate(timeout=60)
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["number"] for line in lines[:number]] == list(range(number))
    assert [line["event"] for line in lines[number:]] == (["uncaught exception"] if "raise" in ending else [])
    assert b"my-own" not in written


def test_callers_do_not_wait_and_dropped_lines_are_counted() -> None:
    """More lines than fit into pipe and queue are logged before the first is read."""
    program = f"[log.info('line', text='x' * 1000) for _ in range({MANY})]; print('done', flush=True); sys.stdin.read()"
    with run(program) as process:
        assert process.stdout
        assert process.stdout.readline() == b"done\n"
        _, written = process.communicate(timeout=60)
    lines = [json.loads(line) for line in written.splitlines()]
    dropped = sum(line["number"] for line in lines if line["event"] == "log lines dropped")
    assert dropped > 0
    assert dropped + sum(line["event"] == "line" for line in lines) == MANY


def test_library_line_has_the_ids_of_its_request(written: Output) -> None:
    with logs.context(request_id="0f8fad5b"):
        logging.getLogger("engineio.server").error("fault")
    assert "0f8fad5b" in written.getvalue()


def test_handlers_of_libraries_write_nothing(capsys: pytest.CaptureFixture[str], written: Output) -> None:
    capsys.readouterr()
    for name in ("engineio.server", "socketio.server", "_granian", "granian.access"):
        logger = logging.getLogger(name)
        assert logger.handlers == []
        logger.error("password=my-own-pass")
    assert written.getvalue().count("[hidden]") == 4
    assert capsys.readouterr().err == ""


UNFORMATTABLE = """
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


def test_line_that_cannot_be_formatted_is_reported_without_arguments() -> None:
    with run(UNFORMATTABLE) as process:
        _, written = process.communicate(timeout=60)
    assert process.returncode == 0
    assert written.count(b"is lost: RecursionError") == 2
    assert b'"event": "next"' in written
    assert b"my-own" not in written


def test_nested_or_long_values_are_bounded() -> None:
    with run(NESTED) as process:
        _, written = process.communicate(timeout=60)
    said = json.loads(written)
    assert said["deep"] == [[["…"]]]
    assert said["wide"] == list(range(redaction.MAX_ENTRIES))
    assert len(written) < 10_000
