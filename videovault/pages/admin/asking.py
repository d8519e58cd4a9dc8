"""A question before something is done that is no deletion."""

from typing import Any

import reflex as rx

from videovault.components.buttons import button
from videovault.components.dialog import Dialog


def question(
    title: Any,
    *children: Any,
    name: str,
    is_open: Any,
    way_back: str,
    way_on: str,
    on_confirm: Any,
    on_dismiss: Any,
) -> rx.Component:
    """The way back has the focus."""
    return Dialog.create(
        rx.el.h2(title, id=f"{name}-title"),
        rx.el.div(*children, id=f"{name}-text", class_name="stack close dialog-text"),
        rx.el.div(
            button(way_back, on_click=on_dismiss, data_focus="true"),
            button(way_on, look="main", on_click=on_confirm),
            class_name="actions",
        ),
        open=is_open,
        on_dismiss=on_dismiss,
        id=name,
        class_name="small-dialog",
        custom_attrs={
            "role": "alertdialog",
            "aria-labelledby": f"{name}-title",
            "aria-describedby": f"{name}-text",
        },
    )
