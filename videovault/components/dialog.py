"""Modal dialogs on the browser's own <dialog>, and the one that asks before something goes."""

from typing import Any

import reflex as rx

from videovault.components.forms import button, icon_button
from videovault.components.notices import notices
from videovault.state import wording
from videovault.state.delete_dialog import DeleteDialogState


class Dialog(rx.Component):
    """Open while ``open``; ``address`` is the query that the page's address has meanwhile."""

    library = "$/public/js/dialog.js"
    tag = "Dialog"
    open: rx.Var[bool]
    address: rx.Var[str]
    on_dismiss: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg,valid-type] # Reflex's way


def dialog(
    title: Any,
    *children: Any,
    name: str,
    is_open: Any,
    on_dismiss: Any,
    look: str = "",
    address: Any = "",
) -> rx.Component:
    """A dialog with a heading and a way out; ``name`` is its id."""
    return Dialog.create(
        rx.el.div(
            rx.el.h2(title, id=f"{name}-title"),
            icon_button(wording.CLOSE, "close", on_click=on_dismiss),
            class_name="dialog-head",
        ),
        notices(),
        *children,
        open=is_open,
        address=address,
        on_dismiss=on_dismiss,
        id=name,
        class_name=look,
        custom_attrs={"aria-labelledby": f"{name}-title"},
    )


def confirmation(
    title: Any,
    *children: Any,
    name: str,
    is_open: Any,
    is_busy: Any,
    on_confirm: Any,
    on_dismiss: Any,
) -> rx.Component:
    """Asks before something is deleted; the way back has the focus."""
    delete = button(
        rx.cond(is_busy, "Deleting…", wording.DELETE),
        look="danger",
        on_click=on_confirm,
        aria_disabled=is_busy,
    )
    return question(
        title, *children, name=name, is_open=is_open, way_back="Keep", way_on=delete, on_dismiss=on_dismiss
    )


def question(
    title: Any,
    *children: Any,
    name: str,
    is_open: Any,
    way_back: str,
    way_on: rx.Component,
    on_dismiss: Any,
) -> rx.Component:
    """Asks before something is done; the way back has the focus."""
    return Dialog.create(
        rx.el.h2(title, id=f"{name}-title"),
        rx.el.div(*children, id=f"{name}-text", class_name="stack close dialog-text"),
        rx.el.div(
            button(way_back, on_click=on_dismiss, data_focus="true"),
            way_on,
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


# Asks before videos are deleted, naming what exactly goes, and tells how far it is.


def delete_dialog() -> rx.Component:
    return confirmation(
        DeleteDialogState.question,
        rx.el.p(rx.el.strong(DeleteDialogState.what)),
        rx.el.p(
            rx.cond(
                DeleteDialogState.progress != "",
                f"Deleting {DeleteDialogState.progress}",
                "This goes for good, with pictures, scripts and share links.",
            ),
            class_name="soft figures",
            role="status",
        ),
        name="removal",
        is_open=DeleteDialogState.question != "",
        is_busy=DeleteDialogState.is_busy,
        on_confirm=DeleteDialogState.delete,
        on_dismiss=DeleteDialogState.cancel,
    )
