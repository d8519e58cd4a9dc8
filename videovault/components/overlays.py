"""What lies over a page: dialogs on the browser's own <dialog>, and notices, which screen readers announce."""

from dataclasses import dataclass
from typing import Any

import reflex as rx
from reflex_components_core.core.banner import (  # type: ignore[import-untyped] # has none
    has_connection_errors,
)

from videovault.components.elements import button, field, form, icon, icon_button, url_input
from videovault.state import wording
from videovault.state.live_updates import VideoNoticesState
from videovault.state.session import SessionState


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
        connection_notice(),
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


@dataclass(frozen=True)
class UrlDialogTexts:
    """The texts of a dialog that asks for a URL; ``busy`` is the button's while the URL is checked."""

    label: str
    hint: str
    submit: str
    busy: str = wording.CHECKING
    text: str = ""


def url_dialog(
    title: Any, *more_fields: Any, name: str, texts: UrlDialogTexts, state: Any, is_open: Any, on_submit: Any
) -> rx.Component:
    """Asks for the URL of a video file; ``more_fields`` come after it, ``state`` has ``is_busy`` and ``close``."""
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


class SelfDismissing(rx.el.Div):  # type: ignore[misc] # Reflex ships its elements without types
    """An element that reports the end of its animation."""

    on_animation_end: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg,valid-type] # Reflex's spelling


def notices() -> rx.Component:
    """The page's own notice and those about videos; they disappear after some seconds."""
    return rx.el.div(
        # A reloaded page would show its old notices until its state has arrived.
        rx.cond(SessionState.is_hydrated, rx.foreach(SessionState.video_notices, _video_notice)),
        rx.cond(
            SessionState.notice != "",
            _notice(
                rx.el.span(SessionState.notice),
                is_error=SessionState.notice_is_error,
                key=SessionState.notice_number,
                on_dismiss=SessionState.dismiss,
            ),
        ),
        class_name="notices",
        role="status",
    )


def _video_notice(notice: Any) -> rx.Component:
    return _notice(
        rx.el.span(notice.text),
        rx.el.a(wording.SHOW, href=notice.link, aria_label=notice.link_name),
        is_error=notice.is_bad,
        key=notice.number,
        on_dismiss=VideoNoticesState.hide(notice.number),
    )


def _notice(*children: rx.Component, is_error: Any, key: Any, on_dismiss: Any) -> rx.Component:
    """Stays while the pointer or the focus is on it."""
    return SelfDismissing.create(
        *children,
        rx.el.button(icon("close", 16), type="button", aria_label="Dismiss", on_click=on_dismiss),
        class_name=rx.cond(is_error, "notice bad", "notice"),
        key=key,
        on_animation_end=on_dismiss,
    )


def connection_notice() -> rx.Component:
    """Says that the page waits: for its connection, or for what the server depends on."""
    return rx.el.div(
        rx.cond(
            has_connection_errors,
            _waiting("Connection lost. We are reconnecting, and your videos continue in the meantime."),
            rx.cond(SessionState.is_waiting, _waiting(wording.WAITING_FOR_SERVER)),
        ),
        class_name="connection",
        role="status",
    )


def _waiting(text: str) -> rx.Component:
    return rx.el.p(text, class_name="offline")
