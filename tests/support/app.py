"""The whole product as a user starts it: `python -m videovault run` with its own DATA_DIR, on a free port."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support import log_grep
from tests.support.waiting import HANG_SECONDS

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 180  # the pages may have to be built first
SYSTEM_RANDOM = random.SystemRandom()  # Hypothesis seeds the default generator alike in all processes


@dataclass(frozen=True)
class RunningApp:
    url: str
    data_dir: Path
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, sign: int = signal.SIGTERM) -> int:
        """Stop it; returns its exit status."""
        self.process.send_signal(sign)
        return self.process.wait(HANG_SECONDS)

    @contextmanager
    def paused(self, module: str) -> Iterator[None]:
        """Suspend the app's process that runs ``module`` in the block."""
        found = [int(each.name) for each in Path("/proc").glob("[0-9]*") if self._runs(each, module)]
        assert found, f"nothing runs {module}"
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in found:
                os.kill(pid, signal.SIGCONT)

    def _runs(self, process: Path, module: str) -> bool:
        try:
            command = (process / "cmdline").read_text()
        except OSError:  # it has just ended
            return False
        return module in command and str(self.data_dir) in command


def free_port() -> int:
    """A port below the system's ephemeral range, so that no other program gets it before it is used."""
    while True:
        port = SYSTEM_RANDOM.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def running_app(data_dir: Path, root: Path = ROOT, /, **settings: str) -> Iterator[RunningApp]:
    """The running app; a second start on the same ``data_dir`` continues with its data. Anyone may register by default.

    ``root`` is the checkout that it runs from.
    """
    port = settings.pop("PORT", "") or str(free_port())
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "app.log"
    own = {"PYTHONPATH": str(root), "SIGNUP": "open", "DATA_DIR": str(data_dir), "PORT": port}
    environment = {**os.environ, **own, **settings}
    log_grep.watch(log, **settings)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "videovault", "run"],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    app = RunningApp(f"http://localhost:{port}", data_dir, process, log)
    try:
        _wait_until_ready(app)
        yield app
    finally:
        if process.poll() is None:
            app.stop()
        log_grep.learn(data_dir)
        _, panic, details = app.log.read_text(errors="replace").partition("panicked at")
        assert not panic, details[:2000]


def _wait_until_ready(app: RunningApp) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if app.process.poll() is not None:
            break
        try:
            if httpx.get(f"{app.url}/healthz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"the app did not start:\n{app.log.read_text(errors='replace')[-3000:]}")
