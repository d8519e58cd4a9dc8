"""A video whose address gave nothing: its owner sees the address, corrects it and has the video."""

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Visitor, register
from tests.journeys.seeding import seed
from tests.support.app import RunningApp
from tests.support.misbehaving_server import Manners, NaughtyServer
from videovault.models import Status

pytestmark = pytest.mark.journey


def test_a_mistyped_address_is_corrected_and_fetched(app: RunningApp, visitor: Visitor, mp4: bytes) -> None:
    page = visitor()
    register(page, "corrector@example.com")
    with NaughtyServer() as source:
        wrong = f"{source.origin}/rols.mp4?sig=1"
        failed = {
            "title": "Rolls",
            "status": Status.FAILED,
            "error_message": "Gone.",
            "source_url": wrong,
            "hook": "Fresh rolls",
        }
        seed(app, "corrector@example.com", [failed])
        page.goto("/gallery")
        page.get_by_role("button", name="Open Rolls").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Address of the video")).to_have_value(wrong)
        expect(dialog.get_by_role("button", name="Generate again")).to_be_visible()
        dialog.get_by_label("Address of the video").fill("nonsense")
        dialog.get_by_role("button", name="Fetch again").click()
        expect(dialog.get_by_text("The address must start with")).to_be_visible()
        dialog.get_by_label("Address of the video").fill(source.serve("/rolls.mp4", Manners(body=mp4)))
        dialog.get_by_role("button", name="Fetch again").click()
        expect(page.get_by_role("dialog", name="Your video is ready")).to_be_visible()
