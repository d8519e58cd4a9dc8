"""Child processes of a benchmark that exchange lines of JSON; each ends with its block, or with this process."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from benchmarks.process_usage import RunFailed
from videovault.embedded import launch

ROOT = Path(__file__).parent.parent
START_SECONDS = 30.0


class JsonProcess:
    """A Python module in its own process, with lines of JSON on stdin and stdout."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.pid = process.pid
        self._process = process
        self._input, self._output = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        self._errors = errors
        self._received = b""

    def send(self, message: object) -> None:
        self._input.write(json.dumps(message).encode() + b"\n")
        self._input.flush()

    def receive(self, timeout: float) -> dict[str, Any]:
        """Its next line. Raises RunFailed when it ends, or sends nothing for ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while b"\n" not in self._received:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise RunFailed(f"not done after {timeout:.0f} s")
                data = os.read(self._output.fileno(), 65536)
                if not data:
                    lines = self._errors.read_text(errors="replace").strip().splitlines()
                    raise RunFailed(f"the process ended: {' '.join(lines[-2:])}")
                self._received += data
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._input.close()
        self._output.close()


@contextmanager
def json_process(
    module: str,
    *arguments: str,
    folder: Path,
    prefix: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[JsonProcess]:
    """Run ``python -m module arguments`` after the command ``prefix``; its stderr goes to a file in ``folder``."""
    errors = folder / f"{module}-{time.monotonic_ns()}.log"
    command = [*prefix, *launch.command([sys.executable, "-m", module, *arguments])]
    with errors.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(os.environ if env is None else env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
        )
    started = JsonProcess(process, errors)
    try:
        yield started
    finally:
        started.stop()
