"""The page on which a video begins."""

import reflex as rx

from videovault.components.brief_form import brief_form
from videovault.components.create_modal import generation_modal
from videovault.components.share_dialog import share_dialog
from videovault.pages.layout import app_page, page_head
from videovault.state import wording


def create() -> rx.Component:
    return app_page(
        page_head(wording.NEW_VIDEO, "Say what it is about. You see the script before anything is made."),
        brief_form(),
        generation_modal(),
        share_dialog(),
        active="/create",
        look="brief",
    )
