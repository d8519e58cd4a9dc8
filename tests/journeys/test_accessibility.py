"""Every page in every state, in light and dark, on desktop and phone: axe finds nothing, and everything fits."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.accessibility_document import WRITE, in_document
from tests.support.documents import table
from tests.support.geometry import overflow, small_targets, unseen_stops
from tests.support.scenes import (
    LOOKS,
    PHONE,
    SCENES,
    SETTLED,
    ZOOMED,
    Look,
    Scene,
    Seen,
    each_look,
    on_screen,
    people,
)
from tests.support.showcase import TOPICS, Showcase, showcase

pytestmark = pytest.mark.journey
# All four looks are for --write-accessibility. In every run: the one that leaves the least room, and for every second
# scene its opposite, too.
LEAST_ROOM, ITS_OPPOSITE = Look("phone", "light"), Look("desktop", "dark")
HEAD = (
    "Page or state",
    *(f"{look.size}, {look.theme}" for look in LOOKS),
    "targets under 24 px",
    "too wide at 360 px",
    "too wide at 200 % zoom",
    "focus out of sight",
)
# Experimental rules are off unless they are named; this one is WCAG 2.5.3.
AXE = {"resultTypes": ["violations"], "rules": {"label-content-name-mismatch": {"enabled": True}}}
Barriers = list[list[str]]  # what is wrong with a scene, by the column of the table that counts it


class Crowded(NamedTuple):
    """What a small window leaves no room for."""

    too_wide: list[str]
    unseen: list[str]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, mp4: bytes) -> Iterator[Showcase]:
    with showcase(tmp_path_factory.mktemp("showcase"), dict.fromkeys(TOPICS, mp4)) as built:
        yield built


@pytest.fixture(scope="module")
def tabs(browser: Browser, shown: Showcase) -> Iterator[dict[str, Page]]:
    with people(browser, shown) as opened:
        yield opened


@pytest.fixture(scope="module")
def seen() -> dict[str, Barriers]:
    """By the scene's name; each test adds its own."""
    return {}


@pytest.mark.parametrize("scene", SCENES, ids=attrgetter("name"))
def test_no_page_in_any_state_has_a_barrier(
    request: pytest.FixtureRequest,
    shown: Showcase,
    tabs: dict[str, Page],
    seen: dict[str, Barriers],
    scene: Scene,
) -> None:
    every_run = (LEAST_ROOM, ITS_OPPOSITE) if SCENES.index(scene) % 2 else (LEAST_ROOM,)
    looks = LOOKS if request.config.getoption(WRITE) else every_run
    with on_screen(scene, tabs[scene.who], shown) as in_sight:
        found = seen[scene.name] = barriers(in_sight, looks)
    assert not any(found), found


def test_the_table_has_a_row_for_each_page_and_state(
    request: pytest.FixtureRequest, seen: dict[str, Barriers]
) -> None:
    """After a change: `python -m pytest tests/journeys/test_accessibility.py --write-accessibility`, in all looks."""
    names = [scene.name for scene in SCENES]
    is_written = request.config.getoption(WRITE)
    assert not is_written or [*seen] == names, "only some of the scenes were seen"
    rows = [(name, *(str(len(found)) for found in seen[name])) for name in names] if is_written else []
    told = in_document(request.config, "axe", table(HEAD, rows) if is_written else "")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in told.splitlines()]
    assert (tuple(lines[0]), [line[0] for line in lines[2:]]) == (HEAD, names)
    assert {cell for line in lines[2:] for cell in line[1:]} == {"0"}


def barriers(seen: Seen, looks: Sequence[Look]) -> Barriers:
    in_looks, small = [], []
    for _ in each_look(seen, looks):
        in_looks.append(violations(seen.page))
        small += small_targets(seen.page)
    at_360, zoomed = (crowded_at(seen.page, size) for size in (PHONE, ZOOMED))
    return [*in_looks, small, at_360.too_wide, zoomed.too_wide, [*at_360.unseen, *zoomed.unseen]]


def crowded_at(page: Page, size: ViewportSize) -> Crowded:
    page.set_viewport_size(size)
    page.evaluate(SETTLED)
    return Crowded(overflow(page), unseen_stops(page))


def violations(page: Page) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("(options) => axe.run(options).then((result) => result.violations)", AXE)
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]
