"""A film with the browser's own controls, which goes on over a new link before the old one dies."""

from typing import Any

import reflex as rx

from videovault.state import wording

TROUBLE = "The video cannot be played right now. The connection may be interrupted."


class Film(rx.Component):
    """``lasts`` is how many seconds a link lives; 0: it is renewed only once it has died."""

    library = "$/public/js/film.js"
    tag = "Film"
    src: rx.Var[str]
    lasts: rx.Var[int]
    trouble: rx.Var[str]
    again: rx.Var[str]


def film(source: Any, picture: Any, title: Any, *, lasts: Any = 0, **custom: Any) -> rx.Component:
    return Film.create(
        src=source,
        lasts=lasts,
        trouble=TROUBLE,
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
    """The owner's own video."""
    place = f"/api/auth/video/{card.video_id}"
    return film(f"{place}/download?inline=1", f"{place}/thumbnail", card.title, lasts=lasts, **custom)
