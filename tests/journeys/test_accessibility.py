"""In all states of the pages axe finds no violation, the content security policy is kept, and small windows are enough."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.accessibility_document import WRITE, in_document
from tests.support.browser import Violations
from tests.support.documents import table
from tests.support.geometry import hidden_focus_stops, overflow, small_targets
from tests.support.scenes import (
    APPEARANCES,
    PHONE,
    SCENES,
    WAIT_UNTIL_SETTLED,
    ZOOMED,
    Appearance,
    OpenScene,
    Scene,
    SceneTabs,
    each_appearance,
)
from tests.support.showcase import TOPICS, Showcase, running_showcase
from videovault.pages import PAGES, PRODUCT

pytestmark = pytest.mark.journey
# --write-accessibility checks all four appearances. Every run checks the smallest one, and for every second scene the
# opposite one too.
SMALLEST, OPPOSITE = Appearance("phone", "light"), Appearance("desktop", "dark")
HEAD = (
    "Page or state",
    *(f"{appearance.size}, {appearance.theme}" for appearance in APPEARANCES),
    "targets under 24 px",
    "too wide at 360 px",
    "too wide at 200 % zoom",
    "focus out of sight",
)
# An experimental rule, for WCAG 2.5.3.
AXE = {"resultTypes": ["violations"], "rules": {"label-content-name-mismatch": {"enabled": True}}}
Problems = list[list[str]]  # of a scene, by column of the table


class SmallWindow(NamedTuple):
    too_wide: list[str]
    hidden_focus: list[str]


@pytest.fixture(scope="module")
def showcase(tmp_path_factory: pytest.TempPathFactory, mp4: bytes) -> Iterator[Showcase]:
    with running_showcase(tmp_path_factory.mktemp("showcase"), dict.fromkeys(TOPICS, mp4)) as running:
        yield running


@pytest.fixture(scope="module")
def blocked() -> Violations:
    """What the content security policy has blocked."""
    return Violations()


@pytest.fixture(scope="module")
def tabs(browser: Browser, showcase: Showcase, blocked: Violations) -> Iterator[SceneTabs]:
    opened = SceneTabs(browser, showcase)
    for context in opened.contexts.values():
        blocked.listen(context)
        context.add_init_script(AXE_SCRIPT)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def titles() -> set[str]:
    """Of the pages that were opened; each test adds one."""
    return set()


@pytest.fixture(scope="module")
def seen() -> dict[str, Problems]:
    """By name of the scene; each test adds its own."""
    return {}


@pytest.mark.parametrize("scene", SCENES, ids=attrgetter("name"))
def test_scene_is_accessible_and_violates_no_policy(
    request: pytest.FixtureRequest,
    tabs: SceneTabs,
    seen: dict[str, Problems],
    titles: set[str],
    blocked: Violations,
    scene: Scene,
) -> None:
    every_run = (OPPOSITE, SMALLEST) if SCENES.index(scene) % 2 else (SMALLEST,)
    appearances = APPEARANCES if request.config.getoption(WRITE) else every_run
    with tabs.open(scene) as opened:
        found = seen[scene.name] = find_problems(opened, appearances)
        titles.add(opened.page.title())
    assert not any(found), found
    assert list(blocked) == []


def test_every_page_is_in_a_scene(seen: dict[str, Problems], titles: set[str]) -> None:
    if len(seen) < len(SCENES):
        pytest.skip("only some of the scenes were checked")
    assert titles >= {f"{page.name} · {PRODUCT}" if page.name else PRODUCT for page in PAGES}


def test_document_has_a_row_for_each_scene(request: pytest.FixtureRequest, seen: dict[str, Problems]) -> None:
    """After a change: `python -m pytest tests/journeys/test_accessibility.py --write-accessibility`."""
    names = [scene.name for scene in SCENES]
    is_written = request.config.getoption(WRITE)
    assert not is_written or [*seen] == names, "only some of the scenes were checked"
    rows = [(name, *(str(len(found)) for found in seen[name])) for name in names] if is_written else []
    text = in_document(request.config, "axe", table(HEAD, rows) if is_written else "")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert (tuple(lines[0]), [line[0] for line in lines[2:]]) == (HEAD, names)
    assert {cell for line in lines[2:] for cell in line[1:]} == {"0"}


def find_problems(opened: OpenScene, appearances: Sequence[Appearance]) -> Problems:
    by_appearance, small = [], []
    for _ in each_appearance(opened, appearances):
        by_appearance.append(violations(opened.page))
        small += small_targets(opened.page)
    at_360, zoomed = (in_small_window(opened.page, size) for size in (PHONE, ZOOMED))
    return [
        *by_appearance,
        small,
        at_360.too_wide,
        zoomed.too_wide,
        [*at_360.hidden_focus, *zoomed.hidden_focus],
    ]


def in_small_window(page: Page, size: ViewportSize) -> SmallWindow:
    page.set_viewport_size(size)
    page.evaluate(WAIT_UNTIL_SETTLED)
    return SmallWindow(overflow(page), hidden_focus_stops(page))


def violations(page: Page) -> list[str]:
    found = page.evaluate("(options) => axe.run(options).then((result) => result.violations)", AXE)
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]
