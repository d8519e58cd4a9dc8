"""Every page and modal state, desktop and phone, light and dark; then the main job as a strip of pictures."""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from scripts.screenshots.films import films
from scripts.screenshots.pictures import IMAGES, picture, save
from scripts.screenshots.strip import film_strip
from tests.support.browser import FLAGS, system_chromium
from tests.support.geometry import overflow
from tests.support.scenes import TIMEOUT_MS, each_look, each_scene
from tests.support.showcase import showcase


def main() -> None:
    expect.set_options(timeout=TIMEOUT_MS)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_chromium(), args=FLAGS)
        every_scene(browser, Path(folder))
        film_strip(browser, Path(folder) / "strip", IMAGES / "main-flow.webp")
        browser.close()
    made = list(IMAGES.glob("*.webp"))
    print(f"{len(made)} images, {sum(file.stat().st_size for file in made) // 1024} kB")


def every_scene(browser: Browser, folder: Path) -> None:
    with showcase(folder / "showcase", films(folder)) as shown:
        for seen in each_scene(browser, shown):
            for look in each_look(seen):
                save(picture(seen.page), IMAGES / f"{seen.scene.name}-{look.size}-{look.theme}.webp")
                if too_wide := overflow(seen.page):
                    print(seen.scene.name, look, too_wide)


if __name__ == "__main__":
    main()
