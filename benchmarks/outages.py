"""What open pages show while PostgreSQL or Redis is away: `python -m benchmarks.outages [SECONDS] [postgres|redis]`.

Two replicas with 200 galleries as websockets, and two in Chromium. The part is stopped, and then frozen (its connections stay
open). Measured are the seconds from the beginning of the outage until each page says that it waits, and from its end until
each page has taken that back and those of a fifth of the people show a row that was changed after it, without a reload; and
the lines in the log of each replica.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from uuid import uuid4

from playwright.async_api import Page, async_playwright

from benchmarks.open_pages import PEOPLE, OpenPages, open_pages, sign_in
from tests.support.browser import FLAGS, system_chromium
from tests.support.cluster import Cluster, running_cluster
from tests.support.part import Part
from videovault.state import wording

SECONDS = 60.0
LIMIT_SECONDS = 3.0
HANG_SECONDS = 60.0
MARK = "window.isTheSamePage"
WAITING_TEXT, FOLLOWING_TEXT = '"is_waiting_rx_state_":true', '"is_waiting_rx_state_":false'
CHANGED_EVERY = 5  # a fifth of the people
HEAD = """\
| away | {seconds:.0f} s | page says so after, p50 / p95 / max | follows again after, p50 / p95 / max | in Chromium | log lines a replica | most in a second |
| --- | --- | --: | --: | --: | --: | --: |"""


@dataclass(frozen=True)
class Outage:
    """Seconds of each page; ``lines`` of each replica in the whole outage, ``busiest`` in one second."""

    name: str
    how: str
    waiting: list[float]
    following: list[float]
    browser: tuple[float, float]
    lines: list[int]
    busiest: int

    @property
    def is_reached(self) -> bool:
        slowest = max(*self.waiting, *self.following, *self.browser)
        return slowest <= LIMIT_SECONDS

    def __str__(self) -> str:
        cells = (
            self.how,
            _figures(self.waiting),
            _figures(self.following),
            f"{self.browser[0]:.1f} s, {self.browser[1]:.1f} s",
            " and ".join(map(str, self.lines)),
            str(self.busiest),
        )
        return f"| {self.name} | {' | '.join(cells)} |"


def _figures(times: Sequence[float]) -> str:
    cuts = quantiles(times, n=20)
    return f"{cuts[9]:.1f} / {cuts[18]:.1f} / {max(times):.1f} s"


def main() -> int:
    seconds = next((float(each) for each in sys.argv[1:] if each.isdigit()), SECONDS)
    names = [each for each in sys.argv[1:] if not each.isdigit()] or ["postgres", "redis"]
    with (
        TemporaryDirectory(prefix="videovault-outages-") as folder,
        running_cluster(Path(folder), replicas=2, workers=0, RATE_LIMITS="off") as cluster,
    ):
        return asyncio.run(_measured(cluster, names, seconds))


async def _measured(cluster: Cluster, names: Sequence[str], seconds: float) -> int:
    print(HEAD.format(seconds=seconds), flush=True)
    found = []
    async with open_pages(cluster) as pages, _browser_pages(pages) as shown:
        for name in names:
            part: Part = getattr(cluster, name)
            for how, begin, end in (("stopped", part.stop, part.start), ("frozen", part.freeze, part.thaw)):
                found.append(await _outage(pages, shown, (name, how), (begin, end), seconds))
                print(found[-1], flush=True)
                pages.check_open()
                await asyncio.sleep(LIMIT_SECONDS)
    return int(not all(outage.is_reached for outage in found))


@asynccontextmanager
async def _browser_pages(pages: OpenPages) -> AsyncIterator[list[Page]]:
    """The first person's gallery and account in Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=system_chromium(), args=FLAGS)
        context = await browser.new_context(base_url=pages.cluster.url)
        token = await asyncio.to_thread(sign_in, pages.people[0])
        await context.add_cookies([{"name": "videovault_session", "value": token, "url": pages.cluster.url}])
        shown = [await context.new_page() for _ in range(2)]
        for page in shown:
            await page.goto("/gallery")
            await page.locator(".card").first.wait_for(state="attached")
            await page.evaluate(f"{MARK} = true")
        yield shown
        await browser.close()


async def _outage(
    pages: OpenPages,
    shown: list[Page],
    name: tuple[str, str],
    act: tuple[Callable[[], object], Callable[[], object]],
    seconds: float,
) -> Outage:
    replicas = pages.cluster.replicas
    before = [len(replica.text().splitlines()) for replica in replicas]
    counting = asyncio.create_task(_busiest_second(replicas))
    said = [tab.expect(WAITING_TEXT) for tab in pages.tabs]
    began = time.monotonic()
    await asyncio.to_thread(act[0])
    in_browser = asyncio.create_task(_shows(shown, wording.WAITING_FOR_SERVER))
    async with asyncio.timeout(HANG_SECONDS):
        waiting = [when - began for when in await asyncio.gather(*said)]
        browser_waiting = await in_browser - began
    await asyncio.sleep(max(0.0, seconds - (time.monotonic() - began)))
    over = [tab.expect(FOLLOWING_TEXT) for tab in pages.tabs]
    await asyncio.to_thread(act[1])
    ended = time.monotonic()
    following, browser_following = await _following(pages, shown, over, ended)
    counting.cancel()
    lines = [
        len(replica.text().splitlines()) - count for replica, count in zip(replicas, before, strict=True)
    ]
    times = (browser_waiting, browser_following)
    return Outage(*name, waiting, following, times, lines, max(await _result(counting)))


async def _following(
    pages: OpenPages, shown: list[Page], over: Sequence[asyncio.Future[float]], ended: float
) -> tuple[list[float], float]:
    """No page says any more that it waits, and those of some people show what has changed."""
    title = f"after-{uuid4().hex[:6]}"
    changed = range(0, PEOPLE, CHANGED_EVERY)
    updates = [tab.expect(title) for number in changed for tab in pages.of(number)]
    await pages.rename(changed, title)
    in_browser = asyncio.create_task(_shows(shown, title))
    async with asyncio.timeout(HANG_SECONDS):
        following = [when - ended for when in await asyncio.gather(*over, *updates)]
        browser = await in_browser - ended
    for page in shown:
        if not await page.evaluate(MARK):
            raise RuntimeError("a page was loaded again")
    return following, browser


async def _shows(pages: Sequence[Page], text: str) -> float:
    """When all of them show it."""
    for page in pages:
        await page.get_by_text(text).first.wait_for(state="attached", timeout=HANG_SECONDS * 1000)
    return time.monotonic()


async def _busiest_second(replicas: Sequence[Part]) -> list[int]:
    """The new lines of each replica in each second, until cancelled."""
    counts, before = [0], [replica.text().count("\n") for replica in replicas]
    try:
        while True:
            await asyncio.sleep(1.0)
            now = [replica.text().count("\n") for replica in replicas]
            counts += [after - count for after, count in zip(now, before, strict=True)]
            before = now
    except asyncio.CancelledError:
        return counts


async def _result(counting: "asyncio.Task[list[int]]") -> list[int]:
    return await counting


if __name__ == "__main__":
    sys.exit(main())
