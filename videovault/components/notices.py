"""What the page has to say, read out as it comes: notices, and a lost connection."""

import reflex as rx
from reflex_components_core.core.banner import has_connection_errors

from videovault.components.icons import icon
from videovault.state.session import SessionState


class Leaving(rx.el.Div):  # type: ignore[misc] # Reflex ships its elements without types
    """Says when its animation has ended."""

    on_animation_end: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg,valid-type] # Reflex's way


def notices() -> rx.Component:
    """One notice at a time; it leaves by itself unless somebody is about to read or dismiss it."""
    return rx.el.div(
        rx.cond(
            SessionState.notice != "",
            Leaving.create(
                rx.el.span(SessionState.notice),
                rx.el.button(
                    icon("close", 16), type="button", aria_label="Dismiss", on_click=SessionState.dismiss
                ),
                class_name=rx.cond(SessionState.notice_is_bad, "notice bad", "notice"),
                key=SessionState.notice_number,
                on_animation_end=SessionState.dismiss,
            ),
        ),
        class_name="notices",
        role="status",
    )


def connection_notice() -> rx.Component:
    return rx.el.div(
        rx.cond(
            has_connection_errors,
            rx.el.p(
                "The connection is interrupted. We keep trying; work on your videos goes on.",
                class_name="offline",
            ),
        ),
        role="status",
    )
