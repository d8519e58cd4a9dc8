"""Takes the screenshots in docs/images: every scene in every appearance, and the main job as a strip."""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from scripts.screenshots.films import films
from scripts.screenshots.strip import IMAGES, film_strip, save, screenshot
from tests.support.browser import FLAGS, system_chromium
from tests.support.geometry import overflow
from tests.support.scenes import SCENES, TIMEOUT_MS, SceneTabs, each_appearance
from tests.support.showcase import running_showcase


def main() -> None:
    expect.set_options(timeout=TIMEOUT_MS)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_chromium(), args=FLAGS)
        every_scene(browser, Path(folder))
        film_strip(browser, Path(folder) / "strip", IMAGES / "main-flow.webp")
        browser.close()
    images = list(IMAGES.glob("*.webp"))
    print(f"{len(images)} images, {sum(file.stat().st_size for file in images) // 1024} kB")


def every_scene(browser: Browser, folder: Path) -> None:
    with running_showcase(folder / "showcase", films(folder)) as showcase:
        tabs = SceneTabs(browser, showcase)
        for scene in SCENES:
            with tabs.open(scene) as opened:
                for size, theme in each_appearance(opened):
                    save(screenshot(opened.page), IMAGES / f"{scene.name}-{size}-{theme}.webp")
                    if too_wide := overflow(opened.page):
                        print(scene.name, size, theme, too_wide)


if __name__ == "__main__":
    main()
