"""What every page has in its head: the styles, the icon, and the colours of the browser's own frame."""

import reflex as rx

STYLESHEETS = [f"/css/{name}.css" for name in ("tokens", "base", "parts", "overlays", "progress", "pages")]
HEAD = [
    rx.el.link(rel="icon", href="/logo.svg", type="image/svg+xml"),
    rx.el.meta(name="theme-color", content="#faf9f7", media="(prefers-color-scheme: light)"),
    rx.el.meta(name="theme-color", content="#121413", media="(prefers-color-scheme: dark)"),
]
