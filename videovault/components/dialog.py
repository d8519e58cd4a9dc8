"""Modal dialogs on the browser's own <dialog>, and those that ask for a confirmation."""

from typing import Any

import reflex as rx

from videovault.components.elements import button, icon_button
from videovault.components.notices import notices
from videovault.state import wording


class Dialog(rx.Component):
    """Shown while ``open``; meanwhile the page's address has the query ``address``."""

    library = "$/public/js/dialog.js"
    tag = "Dialog"
    open: rx.Var[bool]
    address: rx.Var[str]
    on_dismiss: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg,valid-type] # Reflex's spelling


def dialog(
    title: Any,
    *children: Any,
    name: str,
    is_open: Any,
    on_dismiss: Any,
    variant: str = "",
    address: Any = "",
) -> rx.Component:
    """A dialog with a heading and a close button; ``name`` is its id."""
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
        class_name=variant,
        custom_attrs={"aria-labelledby": f"{name}-title"},
    )


def deletion_warning(count: Any) -> rx.Var[str]:
    return rx.cond(
        count == 1,
        "This permanently deletes the video, its script and its share link.",
        "This permanently deletes the videos, their scripts and share links.",
    )


def confirmation(title: Any, *children: Any, is_busy: Any, on_confirm: Any, **props: Any) -> rx.Component:
    """The ``question`` before something is deleted."""
    delete = button(
        rx.cond(is_busy, "Deleting…", wording.DELETE),
        variant="danger",
        on_click=on_confirm,
        aria_disabled=is_busy,
    )
    return question(title, *children, confirm_button=delete, **props)


def question(
    title: Any,
    *children: Any,
    name: str,
    is_open: Any,
    confirm_button: rx.Component,
    on_dismiss: Any,
) -> rx.Component:
    """Asks before something is done; the focus is on the button that dismisses."""
    return Dialog.create(
        rx.el.h2(title, id=f"{name}-title"),
        rx.el.div(*children, id=f"{name}-text", class_name="stack close dialog-text"),
        rx.el.div(
            button(wording.CANCEL, on_click=on_dismiss, data_focus="true"),
            confirm_button,
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
