"""One program of a test's cluster, with all processes that it starts."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.app import START_SECONDS
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.config import Settings

LOG_END_CHARACTERS = 3000


@dataclass
class Part:
    """One program of the cluster, with all processes that it starts.

    ``root`` is its working directory: for replicas and workers the checkout whose code they run, from the next ``start`` on.
    """

    name: str
    command: tuple[str, ...]
    root: Path
    log: Path
    ready: Callable[[], bool]
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: int = signal.SIGTERM
    account: str | None = None
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start it; with ``wait``, until it is ready. Nothing happens while it runs."""
        if not self.is_running:
            environment = {**own_environment(), "PYTHONPATH": str(self.root), **self.environment}
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command,
                    cwd=self.root,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    user=self.account,
                )
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        eventually(
            lambda: not self.is_running or self.ready(),
            lambda: self._failure("does not answer"),
            START_SECONDS,
            0.1,
        )
        assert self.is_running, self._failure("ended")

    def stop(self) -> int:
        """In good order; returns the exit status."""
        process = self._running()
        process.send_signal(self.stop_signal)
        return process.wait(HANG_SECONDS)

    def kill(self) -> None:
        """All its processes at once, as a power cut would."""
        process = self._running()
        self._signal(signal.SIGSTOP)  # so that none replaces another, or ends in good order
        self._signal(signal.SIGKILL)
        process.wait(HANG_SECONDS)

    def freeze(self) -> None:
        """Suspend all its processes: it answers nothing, and its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    @property
    def url(self) -> str:
        """Where a service is reached."""
        return self.environment["URL"]

    def close(self) -> None:
        """Kill it unless it has ended."""
        if self.is_running:
            self.kill()

    def text(self) -> str:
        """Its whole log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self.process is not None
        assert self.is_running, self._failure("is not running")
        return self.process

    def _signal(self, number: int) -> None:
        for pid in _tree(self._running().pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _failure(self, what: str) -> str:
        return f"{self.name} {what}:\n{self.text()[-LOG_END_CHARACTERS:]}"


@contextmanager
def running(part: Part) -> Iterator[Part]:
    """It is ready in the block, and killed at its end."""
    try:
        part.start()
        yield part
    finally:
        part.close()


def own_environment() -> dict[str, str]:
    """That of this process, without settings of the product."""
    ours = {name.upper() for name in Settings.model_fields}
    return {
        name: value for name, value in os.environ.items() if name.upper() not in ours and "AWS_" not in name
    }


def _tree(pid: int) -> list[int]:
    """The process and all that it started, directly or not."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            for children in Path(f"/proc/{parent}/task").glob("*/children"):
                found += [int(child) for child in children.read_text().split()]
    return found
