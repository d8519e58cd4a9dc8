"""The cost of a transfer: wall time, CPU time and peak memory of its processes; and other figures of processes."""

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.02
CLEAR_PEAK = "5"  # resets the peak memory of a process, see proc(5)


class RunFailed(Exception):
    """A transfer has failed; the message says why."""


@dataclass(frozen=True)
class Usage:
    """``cpu_seconds`` are user and system time; ``peak_bytes`` the sum of each process's own peak."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Command:
    argv: Sequence[str]
    env: Mapping[str, str]


Pipeline = Sequence[Command]


class RunningPipelines:
    """The processes of several pipelines; each is waited for separately, to get its CPU time."""

    def __init__(self, pipelines: Sequence[Pipeline], errors: Path) -> None:
        self._errors = errors
        self._cpu_seconds = 0.0
        self._peaks: dict[int, int] = {}
        self._alive: dict[int, subprocess.Popen[bytes]] = {}
        self._started = time.monotonic()
        try:
            for pipeline in pipelines:
                self._start(pipeline)
        except BaseException:
            self.kill()
            raise

    def wait(self, timeout: float) -> Usage:
        """Wait until the last one has ended. Raises RunFailed when one fails or after ``timeout`` seconds."""
        try:
            while self._alive:
                if time.monotonic() - self._started > timeout:
                    raise RunFailed(f"not done after {timeout:.0f} s")
                self._poll()
                time.sleep(POLL_SECONDS)
        finally:
            self.kill()
        seconds = time.monotonic() - self._started
        return Usage(seconds, self._cpu_seconds, sum(self._peaks.values()))

    def kill(self) -> None:
        for process in self._alive.values():
            process.kill()
            process.wait()
        self._alive.clear()

    def _start(self, pipeline: Pipeline) -> None:
        previous: subprocess.Popen[bytes] | None = None
        with self._errors.open("wb") as errors:
            for number, command in enumerate(pipeline, 1):
                process = subprocess.Popen(
                    command.argv,
                    env=command.env,
                    stdin=previous.stdout if previous else subprocess.DEVNULL,
                    stdout=subprocess.PIPE if number < len(pipeline) else subprocess.DEVNULL,
                    stderr=errors,
                )
                self._alive[process.pid] = process
                if previous and previous.stdout:
                    previous.stdout.close()  # otherwise it would not notice that the next one has ended
                previous = process

    def _poll(self) -> None:
        for pid, process in list(self._alive.items()):
            self._peaks[pid] = max(self._peaks.get(pid, 0), peak_memory(pid))
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if not ended:
                continue
            process.returncode = os.waitstatus_to_exitcode(status)
            del self._alive[pid]
            self._cpu_seconds += usage.ru_utime + usage.ru_stime
            if process.returncode:
                lines = self._errors.read_text(errors="replace").strip().splitlines()
                raise RunFailed(f"it ended with {process.returncode}: {' '.join(lines[-2:])}")


def peak_memory(pid: int) -> int:
    """The peak memory in bytes since its start or since ``reset_peak``; 0 after its end."""
    return memory_of(pid, "VmHWM")


def memory_of(pid: int, name: str) -> int:
    """``VmRSS`` (current) or ``VmHWM`` (peak) as the kernel counts them, in bytes; 0 after its end."""
    with suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    return 0


def cpu_seconds(pid: int) -> float:
    """User and system time so far; 0 after its end."""
    with suppress(OSError):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text(CLEAR_PEAK)


def descendants(pid: int) -> list[int]:
    """Its children, their children and so on."""
    children = _children(pid)
    return [*children, *(each for child in children for each in descendants(child))]


def thread_count(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def serving_process(main: int) -> int:
    """The child of the app's main process that serves: the one with the most threads."""
    return max(_children(main), key=thread_count)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
