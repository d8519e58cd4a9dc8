"""Notices and the warning about a lost connection; screen readers announce both."""

from typing import Any

import reflex as rx
from reflex_components_core.core.banner import (  # type: ignore[import-untyped] # has none
    has_connection_errors,
)

from videovault.components.elements import icon
from videovault.state import wording
from videovault.state.live_updates import VideoNoticesState
from videovault.state.session import SessionState


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
