"""Buttons and links that look like them."""

from typing import Any

import reflex as rx

from videovault.components.icons import icon
from videovault.state import wording


def button(text: Any, *, look: str = "", symbol: str = "", **props: Any) -> rx.Component:
    """``look``: main, danger or plain; ordinary if empty."""
    props.setdefault("type", "button")
    return rx.el.button(*_content(text, symbol), class_name=f"button {look}".strip(), **props)


def icon_button(name: Any, symbol: str, **props: Any) -> rx.Component:
    """``name`` is what it is called, for it shows a symbol only."""
    return rx.el.button(
        icon(symbol), type="button", class_name="button plain square", aria_label=name, title=name, **props
    )


def link_button(text: Any, href: Any, *, look: str = "", symbol: str = "", **props: Any) -> rx.Component:
    return rx.el.a(*_content(text, symbol), href=href, class_name=f"button {look}".strip(), **props)


def download_button(video_id: Any, title: Any, *, look: str = "") -> rx.Component:
    """A plain link, so that keyboard, middle click and every download manager work as always."""
    return link_button(
        wording.DOWNLOAD,
        f"/api/auth/video/{video_id}/download",
        look=look,
        symbol="download",
        reload_document=True,
        aria_label=wording.to_download(title),
    )


def _content(text: Any, symbol: str) -> list[Any]:
    return [icon(symbol, 18), text] if symbol else [text]
