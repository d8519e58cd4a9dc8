"""Adds a video to the gallery from its address."""

import reflex as rx

from videovault.components.buttons import button
from videovault.components.dialog import dialog
from videovault.components.forms import field, text_input
from videovault.state import wording
from videovault.state.adding import AddingState


def adding_dialog() -> rx.Component:
    return dialog(
        wording.ADD_FROM_LINK,
        rx.el.form(
            field(
                "videoUrl",
                "Address of the video",
                text_input(
                    "videoUrl",
                    hinted=True,
                    type="url",
                    input_mode="url",
                    auto_complete="off",
                    required=True,
                    custom_attrs={"data-focus": "true"},
                ),
                hint="The file itself, such as one ending in .mp4. It does not go through this device.",
            ),
            field(
                "title",
                wording.TITLE,
                text_input("title", placeholder="As the file is called"),
                note=wording.OPTIONAL,
            ),
            rx.el.div(
                button(wording.CANCEL, on_click=AddingState.close),
                button(
                    rx.cond(AddingState.is_busy, "Looking at it…", "Add"),
                    look="main",
                    type="submit",
                    aria_disabled=AddingState.is_busy,
                ),
                class_name="actions",
            ),
            on_submit=AddingState.add,
            reset_on_submit=False,
            no_validate=True,
            class_name="stack",
        ),
        name="adding",
        is_open=AddingState.is_open,
        on_dismiss=AddingState.close,
    )
