"""Every page in every state, in light and dark, on desktop and phone: axe finds nothing, and everything fits."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize

from tests.fixtures.accessibility_document import WRITE, in_document
from tests.fixtures.documents import table
from tests.fixtures.geometry import overflow, small_targets, unseen_stops
from tests.fixtures.showcase import TOPICS, showcase
from tests.fixtures.stage import LOOKS, PHONE, SETTLED, ZOOMED, Look, Seen, each_look, each_scene

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]
ONE_LOOK = LOOKS[2:3]  # the one that leaves the least room, for every run
HEAD = (
    "Page or state",
    *(f"{look.size}, {look.theme}" for look in LOOKS),
    "targets under 24 px",
    "too wide at 360 px",
    "too wide at 200 % zoom",
    "focus out of sight",
)


class Barriers(NamedTuple):
    """Of one scene: what is wrong, by the column of the table that counts it."""

    scene: str
    found: list[list[str]]


class Crowded(NamedTuple):
    """What a small window leaves no room for."""

    too_wide: list[str]
    unseen: list[str]


def test_no_page_in_any_state_has_a_barrier(
    request: pytest.FixtureRequest, browser: Browser, tmp_path: Path, mp4: bytes
) -> None:
    """After a change: `python -m pytest tests/journeys/test_accessibility.py --write-accessibility`, in all looks."""
    is_written = request.config.getoption(WRITE)
    with showcase(tmp_path / "showcase", dict.fromkeys(TOPICS, mp4)) as shown:
        seen = list(barriers(each_scene(browser, shown), LOOKS if is_written else ONE_LOOK))
    assert [row for row in seen if any(row.found)] == []
    rows = [(row.scene, *(str(len(found)) for found in row.found)) for row in seen]
    told = in_document(request.config, "axe", table(HEAD, rows) if is_written else "")
    assert [line.split(" | ")[0].strip("| ") for line in told.splitlines()[2:]] == [row.scene for row in seen]


def barriers(scenes: Iterator[Seen], looks: Sequence[Look]) -> Iterator[Barriers]:
    for seen in scenes:
        in_looks, small = [], []
        for _ in each_look(seen, looks):
            in_looks.append(violations(seen.page))
            small += small_targets(seen.page)
        at_360, zoomed = (crowded_at(seen.page, size) for size in (PHONE, ZOOMED))
        unseen = [*at_360.unseen, *zoomed.unseen]
        yield Barriers(seen.scene.name, [*in_looks, small, at_360.too_wide, zoomed.too_wide, unseen])


def crowded_at(page: Page, size: ViewportSize) -> Crowded:
    page.set_viewport_size(size)
    page.evaluate(SETTLED)
    return Crowded(overflow(page), unseen_stops(page))


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]
