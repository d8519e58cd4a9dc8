"""Line icons as SVG paths: an icon library would add far more to the page than all of these."""

from typing import Any

import reflex as rx

PATHS = {
    "play": "M8 5.5v13l10.5-6.5z",
    "download": "M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M5 19.5h14",
    "delete": "M4.5 7h15M9.5 7V4.5h5V7m-8 0 .8 12.5h9.4L17.5 7m-7.5 4v5m4-5v5",
    "close": "M6 6l12 12M18 6 6 18",
    "share": "M12 15V4m0 0L7.5 8.5M12 4l4.5 4.5M8 11.5H5.5V20h13v-8.5H16",
    "new": "M12 5v14M5 12h14",
    "again": "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9M19.5 4.5V9H15",
    "back": "M8.5 5 4.5 9l4 4M5 9h8.5a5.25 5.25 0 0 1 0 10.5H9",
    "check": "M5 12.5 10 17.5 19.5 7",
    "eye": "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zm12.25 0a2.75 2.75 0 1 1-5.5 0 2.75 2.75 0 0 1 5.5 0z",
    "script": "M5 6.5h14M5 11h14M5 15.5h9M5 20h5",
    "vault": "M4.5 4.5h15v13.5h-15zM7.5 18v2m9-2v2M12 14.25a3 3 0 1 0 0-6 3 3 0 0 0 0 6zm0-6v-1m0 8v-1m3-2h1m-9 0h1",
    "rename": "M5 19.5 6 15 16 5l3.5 3.5-10 10zM13.5 7.5 17 11",
    "link": "M10 14a4 4 0 0 0 5.7 0l3.1-3.1a4 4 0 0 0-5.7-5.7L12 6.3M14 10a4 4 0 0 0-5.7 0l-3.1 3.1a4 4 0 0 0 5.7 5.7l1.1-1.1",
    "up": "M12 19V5.5m0 0L6.5 11M12 5.5 17.5 11",
    "down": "M12 5v13.5m0 0L6.5 13m5.5 5.5L17.5 13",
    "search": "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zm5-2 4.5 4.5",
    "contrast": "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16zm0-16v16m3-15.4v14.8m3-12.7v10.6",
    "info": "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16zm0-9v5m0-8.2v.4",
    "person": "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zm-7.5 8a7.5 7.5 0 0 1 15 0",
}
FILLED = {"play"}


def icon(name: str, size: int = 20) -> rx.Component:
    """Hidden from screen readers: it always belongs to an element with a name."""
    return rx.el.svg(
        rx.el.path(d=PATHS[name]),
        view_box="0 0 24 24",
        width=str(size),
        height=str(size),
        class_name="icon filled" if name in FILLED else "icon",
        aria_hidden="true",
    )


def portrait(avatar: Any) -> rx.Component:
    """An avatar's picture, or its initials; decorative, since its name is next to it."""
    return rx.cond(
        avatar.picture_url != "",
        rx.el.img(src=avatar.picture_url, alt="", class_name="portrait"),
        rx.el.span(avatar.initials, class_name="portrait blank", aria_hidden="true"),
    )
