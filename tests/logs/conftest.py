"""The log output of this process."""

import io
import logging
import sys
import threading
from collections.abc import Iterator

import pytest

from videovault import logs


class Output(io.StringIO):
    """The log so far, after the writer has caught up."""

    def getvalue(self) -> str:
        logs.flush()
        return super().getvalue()


@pytest.fixture(params=["text", "json"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The log output so far."""
    output = Output()
    monkeypatch.setattr("sys.stderr", output)
    root = logging.getLogger()
    before = root.handlers, root.level
    hooks = threading.excepthook
    monkeypatch.setattr("sys.excepthook", sys.excepthook)
    logs.configure(request.param, "info", ["quite-unlike-a-secret"])
    yield output
    root.handlers[0].close()
    root.handlers, root.level = before
    threading.excepthook = hooks
