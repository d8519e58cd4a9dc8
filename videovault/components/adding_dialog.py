"""Adds a video to the gallery from its address."""

import reflex as rx

from videovault.components.address_dialog import Wording, address_dialog
from videovault.components.forms import field, text_input
from videovault.state import wording
from videovault.state.adding import AddingState


def adding_dialog() -> rx.Component:
    return address_dialog(
        wording.ADD_FROM_LINK,
        field(
            "title",
            wording.TITLE,
            text_input("title", placeholder="Taken from the file name"),
            note=wording.OPTIONAL,
        ),
        name="adding",
        says=Wording(
            label=wording.VIDEO_ADDRESS,
            hint="The file itself, such as one ending in .mp4. It is fetched directly, not through this device.",
            way_back=wording.CANCEL,
            way_on="Add",
            waiting="Looking at it…",
        ),
        state=AddingState,
        is_open=AddingState.is_open,
        on_submit=AddingState.add,
    )
