"""How long half-open connections hold work up: `python -m benchmarks.half_open [database|workers|queue|redis|s3 …]`.

A proxy passes nothing more on over the connections that are open, and works for new ones, as after the restart of a router.
Neither end is told. Callers repeat the same call until a minute has passed; the time given is when the last call ended that
failed or was slow. All limits are the product's defaults. Takes a minute and a half for each part.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import httpx

from benchmarks.open_pages import sign_in
from benchmarks.websocket_tab import Tab
from tests.support.cluster import Cluster, QueueKind, running_cluster
from tests.support.frozen_proxy import FrozenProxy, frozen_proxy
from tests.support.misbehaving_server import ServerBehaviour
from tests.support.product import Person, video_id_of

SECONDS, LIMIT_SECONDS = 60.0, 30.0
CALLERS, STORERS, WARM_SECONDS = 8, 3, 8.0
PAUSE_SECONDS = 0.2
FAST_SECONDS, STORED_SECONDS = (
    2.0,
    5.0,
)  # a call that takes longer, and twice as long as any before, counts as slow
READY = "SELECT status FROM videos WHERE id = %s"

HEAD = """\
| half-open | slowest call before | working again after | calls that failed or were slow | ≤ 30 s |
| --- | --: | --: | --: | --- |"""

Part = Literal["database", "workers", "queue", "redis-queue", "redis", "s3"]
SETTINGS: dict[Part, str] = {
    "database": "DATABASE_URL",
    "workers": "DATABASE_URL",
    "queue": "QUEUE_URL",
    "redis-queue": "QUEUE_URL",
    "redis": "REDIS_URL",
    "s3": "AWS_ENDPOINT_URL_S3",
}
Call = Callable[[], bool]
_numbers = itertools.count(1)


class Done(NamedTuple):
    """A call."""

    began: float
    ended: float
    is_success: bool

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(frozen=True)
class Recovery:
    """``seconds`` from the break to the end of the last call that failed or was slow; ``usual`` of the slowest before."""

    part: Part
    usual: float
    seconds: float
    calls: int
    bad: int

    def __str__(self) -> str:
        verdict = "reached" if self.seconds <= LIMIT_SECONDS else "**missed**"
        figures = (f"{self.usual:.1f} s", f"{self.seconds:.1f} s", f"{self.bad} of {self.calls}", verdict)
        return f"| {self.part} | {' | '.join(figures)} |"


def main() -> int:
    parts: list[Part] = [part for part in SETTINGS if part in sys.argv[1:]] or list(SETTINGS)
    print(
        "| half-open | working again after | calls that failed or were slow | ≤ 30 s |\n| --- | --: | --: | --- |"
    )
    found = []
    for part in parts:
        found.append(_measured(part))
        print(found[-1], flush=True)
    return int(any(recovery.seconds > LIMIT_SECONDS for recovery in found))


def _measured(part: Part) -> Recovery:
    queue: QueueKind = "redis" if part == "redis-queue" else "postgres"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="videovault-half-open-")))
        cluster = stack.enter_context(running_cluster(folder, replicas=0, workers=0, queue=queue))
        proxy = _start(cluster, part, stack)
        person = cluster.new_person()
        if part == "redis":
            return asyncio.run(_pages(cluster, proxy, person))
        if part == "database":
            return _calls(part, proxy, lambda: _read(person), CALLERS, FAST_SECONDS)
        return _calls(part, proxy, lambda: _store(cluster, person), STORERS, STORED_SECONDS)


def _start(cluster: Cluster, part: Part, stack: ExitStack) -> FrozenProxy:
    """One replica and one worker; those that use the part reach it through the proxy."""
    setting = SETTINGS[part]
    url = cluster.settings[setting]
    place = urlsplit(url)
    proxy = stack.enter_context(frozen_proxy((place.hostname or "", place.port or 0)))
    proxied = {setting: url.replace(f":{place.port}", f":{proxy.port}")}
    if part in {"queue", "redis-queue", "s3"}:
        cluster.settings.update(proxied)  # recorded as the installation's, so that it is the same for all
    cluster.add_replica(None, **(proxied if part in ("database", "redis") else {}))
    cluster.add_worker(None, **(proxied if part == "workers" else {}))
    cluster.start()
    return proxy


def _read(person: Person) -> bool:
    return person.api.get("/api/auth/video/gallery", params={"userId": person.user_id}).is_success


def _store(cluster: Cluster, person: Person) -> bool:
    """A video from a link, until it is stored."""
    link = cluster.world.source.serve(
        f"/half-open-{next(_numbers)}.mp4", ServerBehaviour(body=cluster.world.film)
    )
    body = {"videoUrl": link, "userEmail": person.email}
    answer = person.api.post("/api/auth/video/download", json=body, headers={"Prefer": "respond-async"})
    if not answer.is_success:
        return False
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        status = cluster.rows(READY, video_id_of(answer))[0]["status"]
        if status in ("ready", "failed"):
            return bool(status == "ready")
        time.sleep(PAUSE_SECONDS)
    return False


def _calls(part: Part, proxy: FrozenProxy, call: Call, callers: int, fast: float) -> Recovery:
    with ThreadPoolExecutor(callers) as threads:

        def repeat(seconds: float) -> list[Done]:
            until = time.monotonic() + seconds
            return list(chain(*threads.map(lambda _: _repeat(call, until), range(callers))))

        before = repeat(WARM_SECONDS)  # opens as many connections as are used
        proxy.abandon()
        broken = time.monotonic()
        return _recovery(part, broken, before, repeat(SECONDS), fast)


def _repeat(call: Call, until: float) -> list[Done]:
    done = []
    while (began := time.monotonic()) < until:
        is_success = False
        with suppress(httpx.TransportError):
            is_success = call()
        done.append(Done(began, time.monotonic(), is_success))
        time.sleep(PAUSE_SECONDS)
    return done


def _recovery(
    part: Part, broken: float, before: Sequence[Done], calls: Sequence[Done], fast: float
) -> Recovery:
    usual = max(each.seconds for each in before)
    limit = max(fast, 2 * usual)
    bad = [each.ended for each in calls if not each.is_success or each.seconds > limit]
    return Recovery(part, usual, max(bad, default=broken) - broken, len(calls), len(bad))


async def _pages(cluster: Cluster, proxy: FrozenProxy, person: Person) -> Recovery:
    """Open pages, whose events need their state."""
    cookie = await asyncio.to_thread(sign_in, person)
    tabs = [Tab(cluster.url, f"videovault_session={cookie}", "/gallery") for _ in range(CALLERS)]
    running = [asyncio.create_task(tab.run()) for tab in tabs]
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*(tab.is_loaded.wait() for tab in tabs))
    warm = time.monotonic() + WARM_SECONDS
    before = await asyncio.gather(*(_trips(tab, warm) for tab in tabs))
    proxy.abandon()
    broken = time.monotonic()
    ended = await asyncio.gather(*(_trips(tab, broken + SECONDS) for tab in tabs))
    for task in running:
        task.cancel()
    for tab in tabs:
        tab.check_open()
    return _recovery("redis", broken, list(chain(*before)), list(chain(*ended)), FAST_SECONDS)


async def _trips(tab: Tab, until: float) -> list[Done]:
    done = []
    while (began := time.monotonic()) < until:
        is_answered = False
        with suppress(TimeoutError):
            async with asyncio.timeout(FAST_SECONDS):
                await tab.round_trip()
                is_answered = True
        done.append(Done(began, time.monotonic(), is_answered))
        await asyncio.sleep(PAUSE_SECONDS)
    return done


if __name__ == "__main__":
    sys.exit(main())
