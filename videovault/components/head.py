"""What every page has in its head: the styles, the icons, and the colours of the browser's own frame."""

import reflex as rx

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
