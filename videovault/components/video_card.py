"""A video in the gallery: what it is, how it stands, and what can be done with it."""

from typing import Any

import reflex as rx

from videovault.components.buttons import button, download_button, icon_button
from videovault.components.icons import icon
from videovault.components.progress import small_progress
from videovault.components.vars import local_time
from videovault.state.gallery import GalleryState
from videovault.state.sharing import SharingState
from videovault.state.studio import StudioState


def video_card(card: Any) -> rx.Component:
    return rx.el.li(
        _picture(card),
        rx.el.div(
            rx.el.h2(card.title, id=f"title-{card.video_id}"),
            rx.el.p(
                local_time(card.created_at, "{dateStyle: 'medium'}"),
                rx.cond(card.size != "", f", {card.size}", ""),
                class_name="soft small",
            ),
            rx.cond(
                card.status == "failed",
                rx.fragment(
                    rx.el.p(card.reason, class_name="error"), rx.el.p(card.again, class_name="soft small")
                ),
            ),
            class_name="card-text",
        ),
        rx.el.div(_actions(card), class_name="card-foot"),
        class_name="card",
        aria_labelledby=f"title-{card.video_id}",
        data_status=card.status,
        key=card.video_id,
    )


def poster(card: Any) -> rx.Component:
    """Lies over its ground, which stays where a video has no poster."""
    return rx.el.img(src=f"/api/auth/video/{card.video_id}/thumbnail", alt="", loading="lazy")


def player(card: Any) -> rx.Component:
    place = f"/api/auth/video/{card.video_id}"
    return film(f"{place}/download?inline=1", f"{place}/thumbnail", card.title)


def film(source: Any, picture: Any, title: Any) -> rx.Component:
    return rx.el.video(
        src=source,
        poster=picture,
        controls=True,
        preload="metadata",
        class_name="player",
        aria_label=title,
        custom_attrs={"playsInline": True},
    )


def _picture(card: Any) -> rx.Component:
    return rx.match(
        card.status,
        ("ready", _ready_picture(card)),
        ("processing", rx.el.div(small_progress(card.video_id), class_name="picture")),
        ("draft", rx.el.div("Draft", class_name="picture")),
        rx.el.div("Failed", class_name="picture"),
    )


def _ready_picture(card: Any) -> rx.Component:
    return rx.el.button(
        poster(card),
        rx.el.span(icon("play", 24), class_name="play"),
        rx.cond(card.duration != "", rx.el.span(card.duration, class_name="duration figures")),
        type="button",
        class_name="picture",
        aria_label=f"Play {card.title}",
        on_click=GalleryState.play(card.video_id),
    )


def _actions(card: Any) -> rx.Component:
    return rx.fragment(
        rx.match(
            card.status,
            ("ready", download_button(card.video_id, card.title, look="plain")),
            ("processing", _opener(card, "Open")),
            ("draft", _opener(card, "Continue")),
            _failed_actions(card),
        ),
        rx.cond(
            card.status == "ready",
            icon_button(f"Share {card.title}", "share", on_click=SharingState.open(card.video_id)),
        ),
        icon_button(f"Delete {card.title}", "delete", on_click=GalleryState.ask(card.video_id)),
    )


def _failed_actions(card: Any) -> rx.Component:
    return rx.fragment(
        _opener(card, "Open"),
        button(
            "Try again",
            look="plain",
            on_click=GalleryState.retry(card.video_id),
            aria_label=f"Try {card.title} again",
        ),
    )


def _opener(card: Any, text: str) -> rx.Component:
    return button(
        text, look="plain", on_click=StudioState.open(card.video_id), aria_label=f"{text} {card.title}"
    )
