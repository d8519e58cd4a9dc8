"""What the page has to say, read out as it comes: notices, and a lost connection."""

from typing import Any

import reflex as rx
from reflex_components_core.core.banner import (  # type: ignore[import-untyped] # has none
    has_connection_errors,
)

from videovault.components.icons import icon
from videovault.state import wording
from videovault.state.live_updates import VideoNoticesState
from videovault.state.session import SessionState


class Leaving(rx.el.Div):  # type: ignore[misc] # Reflex ships its elements without types
    """Says when its animation has ended."""

    on_animation_end: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg,valid-type] # Reflex's way


def notices() -> rx.Component:
    """What the page itself says, one at a time, and the news of videos; both leave by themselves."""
    return rx.el.div(
        # A page that is loaded again brings its old news along until it has arrived.
        rx.cond(SessionState.is_hydrated, rx.foreach(SessionState.video_notices, _news)),
        rx.cond(
            SessionState.notice != "",
            _notice(
                rx.el.span(SessionState.notice),
                is_bad=SessionState.notice_is_error,
                key=SessionState.notice_number,
                on_leave=SessionState.dismiss,
            ),
        ),
        class_name="notices",
        role="status",
    )


def _news(news: Any) -> rx.Component:
    return _notice(
        rx.el.span(news.text),
        rx.el.a(wording.SHOW, href=news.link, aria_label=news.link_name),
        is_bad=news.is_bad,
        key=news.number,
        on_leave=VideoNoticesState.hide(news.number),
    )


def _notice(*children: rx.Component, is_bad: Any, key: Any, on_leave: Any) -> rx.Component:
    """It stays while somebody is about to read or dismiss it."""
    return Leaving.create(
        *children,
        rx.el.button(icon("close", 16), type="button", aria_label="Dismiss", on_click=on_leave),
        class_name=rx.cond(is_bad, "notice bad", "notice"),
        key=key,
        on_animation_end=on_leave,
    )


def connection_notice() -> rx.Component:
    return rx.el.div(
        rx.cond(
            has_connection_errors,
            rx.el.p(
                "The connection is interrupted. We keep trying, and your videos go on being made.",
                class_name="offline",
            ),
        ),
        role="status",
    )
