"""The frame of the admin's pages: tabs with addresses of their own, and nothing at all for everybody else."""

from collections.abc import Mapping
from typing import Any

import reflex as rx

from videovault.components.forms import button
from videovault.pages.layout import app_page, page_head
from videovault.pages.problem import nothing_here
from videovault.state import wording
from videovault.state.admin.base import AdminState


class Address(rx.Component):
    """Keeps the query of the page's address at what its list shows."""

    library = "$/public/js/address.js"
    tag = "Address"
    query: rx.Var[str]


class Focus(rx.Component):
    """Passes the focus on where what had it goes away."""

    library = "$/public/js/focus.js"
    tag = "Focus"


address = Address.create
TABS = {
    "/admin": wording.VIDEOS,
    "/admin/people": wording.PEOPLE,
    "/admin/avatars": wording.AVATARS,
    "/admin/activity": wording.ACTIVITY,
    "/admin/system": wording.SYSTEM,
}
# What the browser calls the place it is in, as Europe/Berlin: days are those of whoever looks.
ZONE: Any = rx.Var("Intl.DateTimeFormat().resolvedOptions().timeZone", _var_type=str)
DAY = "{dateStyle: 'medium'}"
WHEN = "{dateStyle: 'medium', timeStyle: 'short'}"


def admin_page(path: str, *children: Any, text: Any, actions: Any = ()) -> rx.Component:
    """``text`` stands below the heading, ``actions`` beside it."""
    return app_page(
        rx.match(
            AdminState.access,
            (
                "yes",
                rx.fragment(page_head(TABS[path], text, *actions), _tabs(path), *children, Focus.create()),
            ),
            ("no", nothing_here()),
            # With a key, or the page's head would be made of the same element, and seem to have moved.
            rx.el.div(class_name="skeleton tall", aria_hidden="true", key="waiting"),
        ),
        active="/admin",
    )


def section(title: Any, *children: Any, text: Any = None, name: str = "", actions: Any = ()) -> rx.Component:
    """A part of a page with a heading of its own."""
    said = [] if text is None else [rx.el.p(text, class_name="soft")]
    return rx.el.section(
        rx.el.div(
            rx.el.div(rx.el.h2(title, id=name), *said),
            *actions,
            class_name="section-head",
        ),
        *children,
        aria_labelledby=name,
        class_name="panel stack",
    )


def searching(
    name: str, label: str, value: Any, on_change: Any, placeholder: str = "", **props: Any
) -> rx.Component:
    """A field that searches while one types."""
    return rx.el.div(
        rx.el.label(label, html_for=name, class_name="small"),
        rx.el.input(
            id=name,
            type="search",
            default_value=value,
            key=AdminState.filters_number,
            on_change=on_change,
            placeholder=placeholder,
            auto_complete="off",
            dir="auto",
            **props,
            class_name="input",
            aria_describedby=f"{name}-error",
        ),
        rx.el.span(id=f"{name}-error", class_name="error"),
        class_name="tool wide-tool",
    )


def choosing(name: str, label: str, value: Any, on_change: Any, *options: Any) -> rx.Component:
    """A field that chooses one of ``options`` at once."""
    return rx.el.div(
        rx.el.label(label, html_for=name, class_name="small"),
        rx.el.select(*options, id=name, value=value, on_change=on_change, class_name="input"),
        class_name="tool",
    )


def sorting(state: Any, columns: Mapping[str, str]) -> rx.Component:
    """The order of a list: by what, and in which direction."""
    return rx.el.div(
        rx.el.label("Sort by", html_for="order", class_name="small"),
        rx.el.div(
            rx.el.select(
                *(rx.el.option(text, value=column) for column, text in columns.items()),
                id="order",
                value=state.sort,
                on_change=state.sort_by,
                class_name="input",
            ),
            button(
                rx.fragment(
                    rx.el.span(rx.cond(state.is_descending, "↓ ", "↑ "), aria_hidden="true"),
                    rx.cond(state.is_descending, "Descending", "Ascending"),
                ),
                on_click=state.reverse_order,
                aria_label=rx.cond(
                    state.is_descending,
                    "Descending, sort ascending instead",
                    "Ascending, sort descending instead",
                ),
            ),
            class_name="sorting",
        ),
        class_name="tool sort-tool",
    )


def paging(state: Any, name: str) -> rx.Component:
    """The way to earlier and later pages of a list."""
    return rx.cond(
        state.has_previous | state.has_next,
        rx.el.nav(
            button("Previous", on_click=state.previous, aria_disabled=~state.has_previous),
            rx.el.span(state.rows_shown, class_name="soft figures", role="status"),
            button("Next", on_click=state.next, aria_disabled=~state.has_next),
            class_name="paging",
            aria_label=name,
        ),
    )


def working(what: Any, so_far: Any, on_stop: Any) -> rx.Component:
    """What goes on, how far it is, and the way to end it."""
    return rx.el.div(
        rx.el.strong(what, role="status"),  # the figures change too often to be read out
        rx.el.span(so_far, class_name="soft figures"),
        button("Stop", look="plain", on_click=on_stop),
        class_name="row apart",
    )


def with_code(parts: Any) -> rx.Component:
    """A sentence in which every second part is to be typed as it stands."""
    return rx.foreach(parts, lambda part, number: rx.cond(number % 2 == 1, rx.el.code(part), part))


def _tabs(path: str) -> rx.Component:
    return rx.el.nav(
        *(
            rx.el.a(name, href=route, **({"aria_current": "page"} if route == path else {}))
            for route, name in TABS.items()
        ),
        class_name="tabs",
        aria_label=wording.ADMIN,
    )
