"""Adds a video to the gallery from its address."""

import reflex as rx

from videovault.components.address_dialog import Wording, address_dialog
from videovault.components.forms import field, text_input
from videovault.state.adding import AddingState


def adding_dialog() -> rx.Component:
    return address_dialog(
        "Add from a link",
        field("title", "Title", text_input("title", placeholder="As the file is called"), note="optional"),
        name="adding",
        says=Wording(
            label="Address of the video",
            hint="The video file itself, such as one ending in .mp4. It is stored without going through this device.",
            way_back="Cancel",
            way_on="Add",
            waiting="Looking at it…",
        ),
        state=AddingState,
        is_open=AddingState.is_open,
        on_submit=AddingState.add,
    )
