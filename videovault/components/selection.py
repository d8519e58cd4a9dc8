"""Selecting several videos, and getting more of them by scrolling."""

from typing import Any

import reflex as rx

from videovault.components.buttons import button
from videovault.state import wording
from videovault.state.gallery import GalleryState
from videovault.state.removal import RemovalState


class Selection(rx.Component):
    """The cards inside it can be selected; what can be done with them stands in a bar of its own."""

    library = "$/public/js/selection.js"
    tag = "Selection"
    words: rx.Var[dict[str, str]]
    on_delete: rx.EventHandler[rx.event.passthrough_event_spec(list[str])]  # type: ignore[type-arg,valid-type] # Reflex's way


class MoreOnScroll(rx.Component):
    """Presses the button inside it once it comes into view."""

    library = "$/public/js/more.js"
    tag = "MoreOnScroll"
    shown: rx.Var[int]


def selection(*children: Any) -> rx.Component:
    return Selection.create(*children, words=wording.SELECTION, on_delete=RemovalState.ask)


def pick(card: Any) -> rx.Component:
    """The checkbox on a card."""
    return rx.el.label(
        rx.el.input(
            type="checkbox",
            aria_label=wording.to_select(card.title),
            custom_attrs={
                "data-video": card.video_id,
                "data-bytes": card.bytes,
                "data-ready": rx.cond(card.status == "ready", "true", rx.Var("undefined")),
            },
        ),
        class_name="pick",
    )


def more() -> rx.Component:
    return rx.cond(
        GalleryState.has_more,
        MoreOnScroll.create(
            button("Show more", on_click=GalleryState.more),
            shown=GalleryState.length,
            class_name="more",
        ),
    )
