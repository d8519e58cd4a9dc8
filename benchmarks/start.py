"""How fast work starts, and what an idle installation takes: `python -m benchmarks.start`.

The delay from an enqueue to its task on each queue, the time until another worker continues a killed worker's transfer,
the time from `python -m videovault run` to its first answer, and the memory of idle processes.
"""

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import httpx

from benchmarks import process_memory, report, results
from benchmarks.json_process import ROOT, START_SECONDS, JsonProcess, json_process
from benchmarks.process_memory import MIB, ProcessMemory
from benchmarks.process_usage import RunFailed, descendants
from benchmarks.product_memory import register
from benchmarks.results import Check, Section
from tests.support.app import RunningApp, free_port, running_app
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from tests.support.postgres import running_postgres
from tests.support.redis import running_redis

LETTER = "j"
TITLE = "starts: of tasks, of a killed worker's transfer and of the program; and idle memory"
FILE = Path(__file__).parent / "RESULTS.md"
ENQUEUES, PAUSE_SECONDS = 100, (0.2, 1.2)
TAKEOVERS, TAKEOVER_SECONDS = 3, 60
STARTS = 5
IDLE_SECONDS = 30
MAX_QUEUE_MS = {"SQLite": 50.0}
MAX_TAKEOVER, MAX_START = 22.0, 3.0
MAX_MIB = {"embedded": 350.0, "replica": 160.0, "worker": 100.0}


def measure_queues() -> str:
    lines = ["| queue | from enqueue to start, p50 | p95 |", "| --- | --: | --: |"]
    checks = []
    for name, engine in (("SQLite", None), ("PostgreSQL", running_postgres), ("Redis", running_redis)):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="videovault-bench-")))
            url = stack.enter_context(engine()).url if engine else f"sqlite:///{folder / 'var' / 'queue.db'}"
            delays = _queue_delays(folder, url)
        hundredths = quantiles(delays, n=100)
        p50, p95 = hundredths[49] * 1000, hundredths[94] * 1000
        lines.append(f"| {name} | {p50:.1f} ms | {p95:.1f} ms |")
        if name in MAX_QUEUE_MS:
            checks.append(
                Check(f"{name}, p95", p95, MAX_QUEUE_MS[name], at_least=False, unit=" ms"),
            )
            report.write_row("queue-start", f"{p95:.1f} ms", is_reached=checks[-1].reached)
    return _with_checks("\n".join(lines), checks)


def _queue_delays(folder: Path, url: str) -> list[float]:
    """Seconds from each enqueue to the start of its task."""
    environment = {**os.environ, "DATA_DIR": str(folder / "var"), "QUEUE_URL": url}
    subprocess.run(
        [sys.executable, "-m", "videovault", "migrate"], cwd=ROOT, env=environment, check=True, timeout=60
    )
    os.environ.update(DATA_DIR=environment["DATA_DIR"], QUEUE_URL=url)
    from videovault import worker
    from videovault.config import settings

    settings.cache_clear()
    worker.queue.cache_clear()
    with json_process("benchmarks.queue_consumer", folder=folder, env=environment) as consumer:
        consumer.receive(START_SECONDS)
        return [_delay(consumer, worker.enqueue) for _ in range(ENQUEUES)]


def _delay(consumer: JsonProcess, enqueue: Callable[[str], None]) -> float:
    time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311 - no secret
    enqueued = time.monotonic()
    enqueue("video_0_none")
    while "started" not in (message := consumer.receive(START_SECONDS)):
        pass
    return float(message["started"]) - enqueued


def measure_takeovers() -> str:
    seconds = [_takeover() for _ in range(TAKEOVERS)]
    each = ", ".join(f"{one:.1f}" for one in seconds)
    check = Check("longest", max(seconds), MAX_TAKEOVER, at_least=False, unit=" s")
    report.write_row("takeover", f"{check.value:.1f} s", is_reached=check.reached)
    text = f"A worker killed by SIGKILL in the middle of a transfer: another one continues it after {each} s."
    return _with_checks(text, [check])


def _takeover() -> float:
    """Seconds from the kill to the second claim."""
    with TemporaryDirectory(prefix="videovault-bench-") as name, MisbehavingServer() as source:
        folder = Path(name)
        link = source.serve("/slow.mp4", ServerBehaviour(size=512 * MIB, bytes_per_second=MIB, ranges=False))
        settings = {"SOURCE_ALLOW_HOSTS": f"127.0.0.1:{source.port}", "WORKERS": "0"}
        with running_app(folder / "var", **settings) as app, _worker(app, folder, settings) as killed:
            _request(app, register(app), link)
            _wait_for(app, "status = 'storing' AND bytes_done > 0")
            with _worker(app, folder, settings):
                _wait_for(app, "(SELECT count(*) FROM workers) = 2")
                os.kill(killed.pid, signal.SIGKILL)
                started = time.monotonic()
                _wait_for(app, "status = 'storing' AND attempt = 2")
                return time.monotonic() - started


@contextmanager
def _worker(app: RunningApp, folder: Path, settings: dict[str, str]) -> Iterator[JsonProcess]:
    env = {**os.environ, **settings, "DATA_DIR": str(app.data_dir), "WORKERS": "1"}
    with json_process("videovault", "worker", folder=folder, env=env) as process:
        yield process


def _request(app: RunningApp, token: str, link: str) -> None:
    httpx.post(
        f"{app.url}/api/auth/video/download",
        json={"videoUrl": link, "userEmail": "bench@example.com"},
        headers={"Authorization": f"Bearer {token}", "Prefer": "respond-async"},
        timeout=START_SECONDS,
    ).raise_for_status()


def _wait_for(app: RunningApp, condition: str) -> None:
    """Wait until the only video meets an SQL condition."""
    until = time.monotonic() + TAKEOVER_SECONDS
    with closing(sqlite3.connect(app.data_dir / "videovault.db")) as database:
        while not database.execute(f"SELECT 1 FROM videos WHERE {condition}").fetchone():  # noqa: S608 - ours
            if time.monotonic() > until:
                raise RunFailed(f"not within {TAKEOVER_SECONDS} s: {condition}")
            time.sleep(0.02)


def measure_starts() -> str:
    """With built pages: ``running_app`` builds them if they are missing, so the first start is not counted."""
    with TemporaryDirectory(prefix="videovault-bench-") as name:
        folder = Path(name) / "var"
        with running_app(folder) as app:
            del app
        starts = sorted((_start(folder) for _ in range(STARTS)), key=lambda start: start[0])
    seconds, cpu = starts[len(starts) // 2][0], median(cpu for _, cpu in starts)
    text = (
        f"From `python -m videovault run` to its first 200, embedded: {seconds:.2f} s (median of {STARTS}), "
        f"best {starts[0][0]:.2f} s, with {cpu:.2f} s of CPU time in all processes. "
        f"The machine's load was {os.getloadavg()[0]:.0f} meanwhile."
    )
    check = Check("start", seconds, MAX_START, at_least=False, unit=" s")
    report.write_row("start", f"{seconds:.2f} s", is_reached=check.reached)
    return _with_checks(text, [check])


def _start(folder: Path) -> tuple[float, float]:
    """Seconds until the first answer, and the CPU seconds of all its processes until then."""
    port = free_port()
    environment = {**os.environ, "DATA_DIR": str(folder), "PORT": str(port)}
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "videovault", "run"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        with httpx.Client(timeout=START_SECONDS) as client:
            while not _answers(client, port):
                if time.monotonic() - started > 2 * START_SECONDS:
                    raise RunFailed("the app does not answer")
                time.sleep(0.01)
        seconds = time.monotonic() - started
        return seconds, sum(map(_cpu_seconds, [process.pid, *descendants(process.pid)]))
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _answers(client: httpx.Client, port: int) -> bool:
    with suppress(httpx.TransportError):
        return client.get(f"http://localhost:{port}/healthz").status_code == 200
    return False


def _cpu_seconds(pid: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def measure_memory() -> str:
    with TemporaryDirectory(prefix="videovault-bench-") as name:
        folder = Path(name)
        with running_app(folder / "var"):
            pass  # the second start migrates nothing
        with running_app(folder / "var") as app:
            embedded = _idle_memory(app.process.pid)
        with running_postgres() as postgres, running_redis() as redis, running_app(folder / "store") as store:
            settings = _external(store, postgres.url, redis.url)
            with running_app(folder / "replica", **settings, WORKERS="0") as app:
                env = {**os.environ, **settings, "DATA_DIR": str(app.data_dir), "WORKERS": "4"}
                with json_process("videovault", "worker", folder=folder, env=env) as worker:
                    replica = _idle_memory(app.process.pid)
                    alone = _idle_memory(worker.pid)
    tables = [
        _memory_table("An embedded installation", embedded),
        _memory_table("A replica (PostgreSQL, Redis and S3 elsewhere, WORKERS=0)", replica),
        _memory_table("A worker of it", alone),
    ]
    found = zip(MAX_MIB.items(), (embedded, replica, alone), strict=True)
    checks = [
        Check(f"{name}, PSS", process_memory.total_pss(processes) / MIB, limit, at_least=False, unit=" MiB")
        for (name, limit), processes in found
    ]
    measured = ", ".join(f"{check.value:.0f}" for check in checks)
    report.write_row("idle-memory", f"{measured} MiB", is_reached=all(check.reached for check in checks))
    return _with_checks("\n\n".join(tables), checks)


def _external(store: RunningApp, database: str, redis: str) -> dict[str, str]:
    """The settings of a replica whose S3 is that of ``store``."""
    from videovault import installation
    from videovault.config import EMBEDDED_BUCKET

    made = installation.load_or_create(store.data_dir)
    return {
        "DATABASE_URL": database.replace("postgresql:", "postgresql+psycopg:"),
        "QUEUE_URL": database,
        "REDIS_URL": redis,
        "AWS_S3_BUCKET_NAME": EMBEDDED_BUCKET,
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{made.s3_port}",
        "AWS_ACCESS_KEY_ID": made.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": made.s3_secret_key,
        "SECRET_KEY": made.secret_key,
        "VIDEO_WEBHOOK_URL": "http://127.0.0.1:9/video",
        "SCRIPT_WEBHOOK_URL": "http://127.0.0.1:9/script",
    }


def _idle_memory(pid: int) -> list[ProcessMemory]:
    time.sleep(IDLE_SECONDS)
    return process_memory.memory([pid, *descendants(pid)])


def _memory_table(title: str, processes: list[ProcessMemory]) -> str:
    rows = [
        f"| {each.name} | {each.pss / MIB:.0f} | {each.anonymous / MIB:.0f} | {sum(each.files.values()) / MIB:.0f} |"
        for each in processes
    ]
    total = (
        f"{title}, idle for {IDLE_SECONDS} s: {process_memory.total_pss(processes) / MIB:.0f} MiB PSS; alone on a "
        f"machine {process_memory.alone(processes) / MIB:.0f} MiB."
    )
    head = "| MiB | PSS | anonymous | mapped files |\n| --- | --: | --: | --: |"
    return "\n".join([total, "", head, *rows])


def _with_checks(text: str, checks: list[Check]) -> str:
    return "\n".join([text, "", *(f"- {check}" for check in checks), ""])


PARTS = {
    "queues": measure_queues,
    "takeover": measure_takeovers,
    "starts": measure_starts,
    "memory": measure_memory,
}


def measure() -> str:
    return "\n".join(part() for part in PARTS.values())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument(
        "--only",
        choices=PARTS,
        help="measure one part and print it; only its row of the table of targets is written",
    )
    only = parser.parse_args().only
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    body = PARTS[only]() if only else measure()
    print(body, flush=True)
    if not only:
        FILE.write_text(results.with_sections(FILE.read_text(), [Section(LETTER, TITLE, body)]))


if __name__ == "__main__":
    main()
