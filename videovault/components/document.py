"""What every page has in its head: the styles, the icons, and the colours of the browser's own frame."""

import reflex as rx
from reflex_components_core.base.error_boundary import (  # type: ignore[import-untyped] # has none
    error_boundary,
)

STYLESHEETS = [
    f"/css/{name}.css"
    for name in ("tokens", "base", "parts", "overlays", "progress", "pages", "studio", "gallery", "admin")
]
HEAD = [
    rx.el.link(rel="icon", href="/logo.svg", type="image/svg+xml"),
    rx.el.link(rel="apple-touch-icon", href="/icons/apple-touch.png"),
    rx.el.link(rel="manifest", href="/manifest.json"),
    *(
        rx.el.meta(
            name="theme-color",
            content=colour,
            custom_attrs={"media": f"(prefers-color-scheme: {scheme})"},
        )
        for scheme, colour in (("light", "#faf9f7"), ("dark", "#121413"))
    ),
]


# What a person sees when the page itself breaks: a sentence and a way on, never the exception.


def crash_screen(is_stateful: bool) -> rx.Component:
    """Wraps every page; ``is_stateful`` is whether errors can be reported to the server."""
    quiet = {} if is_stateful else {"on_error": rx.noop()}
    return error_boundary(fallback_render=rx.Var.create(_screen()), **quiet)


def _screen() -> rx.Component:
    return rx.el.main(
        rx.el.div(
            rx.el.h1("This page broke"),
            rx.el.p("Nothing you made is lost. Loading the page again usually helps.", class_name="soft"),
            rx.el.a("Load again", href="", reload_document=True, class_name="button main"),
            class_name="empty bare",
            role="alert",
        )
    )
