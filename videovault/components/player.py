"""A video with the browser's own controls, whose presigned link is renewed before it expires."""

from typing import Any

import reflex as rx

from videovault.components.elements import icon
from videovault.state import wording

PLAYBACK_ERROR = "This video cannot be played right now. Check your connection."
UNSUPPORTED = "Your browser cannot play this video. Download it to watch it in another player."


class VideoPlayer(rx.Component):
    """``link_seconds`` is the lifetime of a link; with 0 it is renewed only after it has expired."""

    library = "$/public/js/video_player.js"
    tag = "VideoPlayer"
    src: rx.Var[str]
    link_seconds: rx.Var[int]
    playback_error: rx.Var[str]
    unsupported: rx.Var[str]
    retry_label: rx.Var[str]


def video_player(
    source: Any, poster: Any, title: Any, *, link_seconds: Any = 0, limited: Any = False, **attributes: Any
) -> rx.Component:
    """``limited``: most browsers cannot play this file."""
    return VideoPlayer.create(
        src=source,
        link_seconds=link_seconds,
        playback_error=rx.cond(limited, UNSUPPORTED, PLAYBACK_ERROR),
        unsupported=UNSUPPORTED,
        retry_label=wording.TRY_AGAIN,
        class_name="player",
        custom_attrs={
            "poster": poster,
            "controls": True,
            "preload": "metadata",
            "playsInline": True,
            "aria-label": title,
            **attributes,
        },
    )


def player(card: Any, *, link_seconds: Any = 0, **attributes: Any) -> rx.Component:
    """The owner's own video with a note on playback; it reloads as soon as the playable copy is ready."""
    url = f"/api/auth/video/{card.video_id}"
    source = rx.cond(card.is_copied, f"{url}/download?inline=1&copied=1", f"{url}/download?inline=1")
    limited = (card.playback_note != "") & ~card.is_copied
    return rx.fragment(
        video_player(
            source,
            f"{url}/thumbnail",
            card.title,
            link_seconds=link_seconds,
            limited=limited,
            **attributes,
        ),
        playback_note(card),
    )


def playback_note(video: Any) -> rx.Component:
    return rx.cond(
        video.playback_note != "",
        rx.el.p(
            icon("info", 18), rx.el.span(video.playback_note), class_name="plays soft small", role="note"
        ),
    )
