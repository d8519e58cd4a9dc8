"""Dialogs that ask for the URL of a video file: to import a video, or to attach a file to one."""

from dataclasses import dataclass
from typing import Any

import reflex as rx

from videovault.components.dialog import dialog
from videovault.components.elements import button, field, form, text_input, url_input
from videovault.state import wording
from videovault.state.import_dialog import ImportDialogState


@dataclass(frozen=True)
class Wording:
    """The texts of the dialog; ``busy`` is the button's while the URL is checked."""

    label: str
    hint: str
    submit: str
    busy: str = wording.CHECKING
    text: str = ""


def url_dialog(
    title: Any, *more_fields: Any, name: str, texts: Wording, state: Any, is_open: Any, on_submit: Any
) -> rx.Component:
    """``more_fields`` come after the URL; ``state`` has ``is_busy`` and ``close``."""
    url = url_input(required=True, custom_attrs={"data-focus": "true"})
    return dialog(
        title,
        form(
            *([rx.el.p(texts.text, class_name="soft")] if texts.text else []),
            field("videoUrl", texts.label, url, hint=texts.hint),
            *more_fields,
            rx.el.div(
                button(wording.CANCEL, on_click=state.close),
                button(
                    rx.cond(state.is_busy, texts.busy, texts.submit),
                    variant="main",
                    type="submit",
                    aria_disabled=state.is_busy,
                ),
                class_name="actions",
            ),
            on_submit=on_submit,
        ),
        name=name,
        is_open=is_open,
        on_dismiss=state.close,
    )


def import_dialog() -> rx.Component:
    return url_dialog(
        wording.IMPORT_FROM_LINK,
        field(
            "title",
            wording.TITLE,
            text_input("title", placeholder="Uses the file name if empty"),
            note=wording.OPTIONAL,
        ),
        name="adding",
        texts=Wording(
            label=wording.VIDEO_URL,
            hint="A direct link to the file, for example one ending in .mp4. It is downloaded by the server, not by your device.",
            submit="Import",
        ),
        state=ImportDialogState,
        is_open=ImportDialogState.is_open,
        on_submit=ImportDialogState.add,
    )
