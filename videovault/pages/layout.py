"""What every page has: head, header, menu, notices, and the screen for a page that fails."""

from pathlib import Path
from typing import Any

import reflex as rx
from reflex.style import LiteralColorMode, set_color_mode
from reflex_components_core.base.error_boundary import (  # type: ignore[import-untyped] # has none
    error_boundary,
)

from videovault.components.elements import clearing_storage, icon_button, link_button, native_form, sentence
from videovault.components.overlays import connection_notice, notices
from videovault.state import wording
from videovault.state.problem import ProblemState
from videovault.state.session import SessionState

STYLESHEETS = [
    f"/css/{name}.css"
    for name in ("tokens", "base", "controls", "overlays", "progress", "pages", "create", "gallery", "admin")
]
RELOAD_ONCE = Path(__file__).parent.parent.parent / "assets/js/reload_once.js"


def _inline(script: Path) -> str:
    """Without comments that take a whole line and without indentation, since every page has it."""
    lines = (line.strip() for line in script.read_text().splitlines())
    return "\n".join(line for line in lines if not line.startswith("//"))


HEAD = [
    rx.el.script(custom_attrs={"dangerouslySetInnerHTML": {"__html": _inline(RELOAD_ONCE)}}),
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
MODES: tuple[LiteralColorMode, ...] = ("system", "light", "dark")


def app_page(*children: Any, active: str = "", variant: str = "") -> rx.Component:
    """A page for signed-in users; ``active`` is its path in the navigation, ``variant`` its CSS class."""
    header = _header(
        rx.el.nav(
            _nav_link("Create", "/create", active),
            _nav_link(wording.GALLERY, "/gallery", active),
            rx.cond(SessionState.is_admin, _nav_link(wording.ADMIN, "/admin", active)),
            class_name="nav",
            aria_label="Main",
        ),
        _menu(_account_menu()),
    )
    return _page(header, *children, variant=variant)


def public_page(*children: Any, variant: str = "") -> rx.Component:
    return _page(
        _header(
            rx.el.span(class_name="push"),
            link_button(wording.SIGN_IN, "/login", variant="plain"),
            _appearance_menu(),
        ),
        *children,
        variant=variant,
    )


def sign_in_page(title: str, *children: Any) -> rx.Component:
    """A page without navigation: the logo, a heading and a form."""
    head = rx.el.div(_brand(), rx.el.h1(title, tab_index=-1), class_name="entrance-head")
    header = rx.el.header(
        rx.el.div(rx.el.span(class_name="push"), _appearance_menu()), class_name="header bare"
    )
    return _page(header, rx.el.div(head, *children, class_name="entrance"), variant="slim")


def page_head(title: str, text: Any = None, *actions: rx.Component) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.h1(title, tab_index=-1), *([rx.el.p(text, class_name="soft")] if text is not None else [])
        ),
        *actions,
        class_name="page-head",
    )


def _page(header: rx.Component, *children: Any, variant: str) -> rx.Component:
    return rx.fragment(
        rx.el.a("Skip to content", href="#main", class_name="skip", reload_document=True),
        header,
        connection_notice(),
        rx.el.main(*children, id="main", class_name=variant, tab_index=-1),
        notices(),
    )


def _header(*children: rx.Component) -> rx.Component:
    return rx.el.header(rx.el.div(_brand(), *children), class_name="header")


def _brand() -> rx.Component:
    return rx.el.a(
        rx.el.img(src="/logo.svg", alt="", custom_attrs={"width": "28", "height": "28"}),
        rx.el.span("VideoVault"),
        href="/",
        class_name="brand",
        aria_label="VideoVault",
    )


def _nav_link(text: str, path: str, active: str) -> rx.Component:
    current = {"aria_current": "page"} if path == active else {}
    return rx.el.a(text, href=path, **current)


def _menu(*children: rx.Component, name: str = "Menu", symbol: str = "person") -> rx.Component:
    """A native popover: it closes by Escape or a click outside, and works without scripts."""
    return rx.fragment(
        icon_button(name, symbol, custom_attrs={"popoverTarget": "menu"}),
        rx.el.div(
            rx.el.div(*children, _appearance(), class_name="stack close"),
            id="menu",
            class_name="menu",
            custom_attrs={"popover": "auto"},
        ),
    )


def _appearance_menu() -> rx.Component:
    """The menu for visitors."""
    return _menu(name=wording.APPEARANCE, symbol="contrast")


def _account_menu() -> rx.Component:
    return rx.fragment(
        rx.el.p(sentence("Signed in as {email}", email=rx.el.strong(SessionState.email)), class_name="small"),
        link_button(wording.ACCOUNT, "/account", variant="wide"),
        clearing_storage(
            native_form(
                rx.el.button(wording.SIGN_OUT, type="submit", class_name="button wide"),
                action="/api/auth/logout",
                method="post",
            )
        ),
    )


def _appearance() -> rx.Component:
    return rx.el.div(
        rx.el.span(wording.APPEARANCE, class_name="label small", id="appearance"),
        rx.el.div(
            *(
                rx.el.button(
                    mode.capitalize(),
                    type="button",
                    aria_pressed=rx.color_mode == mode,
                    on_click=set_color_mode(mode),
                )
                for mode in MODES
            ),
            class_name="segments",
            role="group",
            aria_labelledby="appearance",
        ),
        class_name="stack close",
    )


def crash_screen(is_stateful: bool) -> rx.Component:
    """An error boundary round every page, which never shows the exception; it is reported if ``is_stateful``."""
    quiet = {} if is_stateful else {"on_error": rx.noop()}
    return error_boundary(fallback_render=rx.Var.create(_crash_message()), **quiet)


def _crash_message() -> rx.Component:
    return rx.el.main(
        rx.el.div(
            rx.el.h1("This page stopped working"),
            rx.el.p("Your work is safe. Reloading the page usually helps.", class_name="soft"),
            rx.el.a("Reload page", href="", reload_document=True, class_name="button main"),
            class_name="empty bare",
            role="alert",
        )
    )


def not_found() -> rx.Component:
    return public_page(page_not_found())


def page_not_found() -> rx.Component:
    return rx.el.div(
        rx.el.h1(wording.PAGE_NOT_FOUND, tab_index=-1),
        rx.el.p(wording.MISTYPED, class_name="soft"),
        _home_link(),
        class_name="empty bare",
    )


def problem() -> rx.Component:
    """Browsers are sent here where a program gets an error as JSON."""
    return public_page(
        rx.el.div(
            rx.el.h1(ProblemState.what, tab_index=-1),
            rx.el.p(ProblemState.advice, class_name="soft"),
            _home_link(),
            class_name="empty bare",
        )
    )


def _home_link() -> rx.Component:
    return link_button("Go home", "/", variant="main")
