"""The dialog in which the address of a video file is given, by its owner or for somebody else's video."""

from dataclasses import dataclass
from typing import Any

import reflex as rx

from videovault.components.dialog import dialog
from videovault.components.forms import button, field, text_input
from videovault.state import wording
from videovault.state.import_dialog import ImportDialogState


@dataclass(frozen=True)
class Wording:
    """What is asked for, and what the buttons say; ``waiting`` while the address is looked at."""

    label: str
    hint: str
    way_back: str
    way_on: str
    waiting: str
    text: str = ""


def url_dialog(
    title: Any, *further: Any, name: str, says: Wording, state: Any, is_open: Any, on_submit: Any
) -> rx.Component:
    """``further`` fields stand below the address; ``state`` knows ``is_busy`` and ``close``."""
    given = text_input(
        "videoUrl",
        hinted=True,
        type="url",
        input_mode="url",
        auto_complete="off",
        required=True,
        custom_attrs={"data-focus": "true"},
    )
    return dialog(
        title,
        rx.el.form(
            *([rx.el.p(says.text, class_name="soft")] if says.text else []),
            field("videoUrl", says.label, given, hint=says.hint),
            *further,
            rx.el.div(
                button(says.way_back, on_click=state.close),
                button(
                    rx.cond(state.is_busy, says.waiting, says.way_on),
                    look="main",
                    type="submit",
                    aria_disabled=state.is_busy,
                ),
                class_name="actions",
            ),
            on_submit=on_submit,
            reset_on_submit=False,
            no_validate=True,
            class_name="stack",
        ),
        name=name,
        is_open=is_open,
        on_dismiss=state.close,
    )


# Adds a video to the gallery from its address.


def import_dialog() -> rx.Component:
    return url_dialog(
        wording.IMPORT_FROM_LINK,
        field(
            "title",
            wording.TITLE,
            text_input("title", placeholder="Taken from the file name"),
            note=wording.OPTIONAL,
        ),
        name="adding",
        says=Wording(
            label=wording.VIDEO_URL,
            hint="The file itself, such as one ending in .mp4. It is fetched directly, not through this device.",
            way_back=wording.CANCEL,
            way_on="Add",
            waiting="Looking at it…",
        ),
        state=ImportDialogState,
        is_open=ImportDialogState.is_open,
        on_submit=ImportDialogState.add,
    )
