"""A film with the browser's own controls, which goes on over a new link before the old one dies."""

from typing import Any

import reflex as rx

from videovault.components.icons import icon
from videovault.state import wording

TROUBLE = "The video cannot be played right now. The connection may be interrupted."
UNKNOWN = "This browser cannot play the video. Download it to watch it in another player."


class Film(rx.Component):
    """``lasts`` is how many seconds a link lives; 0: it is renewed only once it has died."""

    library = "$/public/js/film.js"
    tag = "Film"
    src: rx.Var[str]
    lasts: rx.Var[int]
    trouble: rx.Var[str]
    unknown: rx.Var[str]
    again: rx.Var[str]


def film(
    source: Any, picture: Any, title: Any, *, lasts: Any = 0, limited: Any = False, **custom: Any
) -> rx.Component:
    """``limited`` is whether most browsers cannot play what is there."""
    return Film.create(
        src=source,
        lasts=lasts,
        trouble=rx.cond(limited, UNKNOWN, TROUBLE),
        unknown=UNKNOWN,
        again=wording.TRY_AGAIN,
        class_name="player",
        custom_attrs={
            "poster": picture,
            "controls": True,
            "preload": "metadata",
            "playsInline": True,
            "aria-label": title,
            **custom,
        },
    )


def player(card: Any, *, lasts: Any = 0, **custom: Any) -> rx.Component:
    """The owner's own video, with a word on whether browsers play it; it restarts once its copy is there."""
    place = f"/api/auth/video/{card.video_id}"
    source = rx.cond(card.is_copied, f"{place}/download?inline=1&copied=1", f"{place}/download?inline=1")
    limited = (card.playback_note != "") & ~card.is_copied
    return rx.fragment(
        film(source, f"{place}/thumbnail", card.title, lasts=lasts, limited=limited, **custom),
        plays(card),
    )


def plays(video: Any) -> rx.Component:
    return rx.cond(
        video.playback_note != "",
        rx.el.p(
            icon("info", 18), rx.el.span(video.playback_note), class_name="plays soft small", role="note"
        ),
    )
