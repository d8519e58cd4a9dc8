"""Videos of many formats: what the page says about playback is true in a real browser."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.journeys.conftest import TIMEOUT_MS, register
from tests.support.app import RunningApp
from tests.support.films import KINDS, film, of_a_kind
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour

pytestmark = pytest.mark.thorough
# Playable in Debian's Chromium, as they are or by a copy; one format for each way.
PLAYABLE = (
    "H.264 and AAC in MP4",
    "H.264 in fragmented MP4",
    "H.264 and AAC in MOV",
    "AV1 in MP4",
    "VP8 and Vorbis in WebM",
    "VP9 and Opus in WebM",
    "WebM recorded by a browser",
    "HEVC in MP4",
    "HEVC in MOV, upright",
    "ProRes and PCM in MOV",
    "H.264 of 10 bits in MP4",
    "MPEG-4 and MP3 in AVI",
    "H.264 and AAC in MKV",
    "VP9 and AAC in MKV",
    "MPEG-2 and MP2 in TS",
)
PLAY = """async (video) => {
    video.muted = true;
    video.playbackRate = 16;
    await video.play();
    await new Promise((resolve) => video.addEventListener("ended", resolve, { once: true }));
    return { duration: video.duration, at: video.currentTime, width: video.videoWidth, height: video.videoHeight };
}"""
REFUSED = {
    "Cut short": (film()[:-100], "The file is not complete."),
    "Sound alone": (film(codec=None, audio="aac"), "This file has sound but no picture"),
}


def test_formats_play_as_announced(page: Page, app: RunningApp, source: MisbehavingServer) -> None:
    """Some are refused, some play as they are, others play as soon as their copy is ready."""
    register(page, "kinds@example.com")
    for number, (title, body) in enumerate(
        [(name, of_a_kind(name)) for name in PLAYABLE] + [(name, found[0]) for name, found in REFUSED.items()]
    ):
        url = source.serve(f"/{number}.mp4", ServerBehaviour(body=body))
        sent = {"videoUrl": url, "userEmail": "kinds@example.com", "title": title}
        answer = page.request.post(
            "/api/auth/video/download", data=sent, headers={"Origin": app.url, "Prefer": "respond-async"}
        )
        assert answer.ok, answer.text()
    page.goto("/gallery")
    for title, (_, reason) in REFUSED.items():
        expect(_card(page, title)).to_contain_text(reason)
    for title in PLAYABLE:
        shown = _card(page, title)
        if KINDS[title].plays == "limited":
            expect(shown).to_contain_text("most browsers cannot play the original", timeout=TIMEOUT_MS)
        expect(shown.get_by_role("button", name=f"Play {title}")).to_be_visible(timeout=TIMEOUT_MS)
        if KINDS[title].plays == "everywhere":
            expect(shown).not_to_contain_text("browsers cannot play")
    for title in PLAYABLE:
        _card(page, title).get_by_role("button", name=f"Play {title}").click()
        dialog = page.get_by_role("dialog", name=title)
        seen = dialog.locator("video").evaluate(PLAY)
        assert seen["duration"] == pytest.approx(2, abs=0.3), title
        assert seen["at"] == pytest.approx(seen["duration"], abs=0.1), title
        size = (90, 160) if "upright" in title else (160, 90)
        assert (seen["width"], seen["height"]) == size, title
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()


def _card(page: Page, title: str) -> Locator:
    return page.locator("li.card").filter(has=page.get_by_role("heading", name=title, exact=True))
