"""What admin pages share: tabs, filters, sorting and paging. Anyone else sees the page for an unknown address."""

from collections.abc import Mapping
from typing import Any

import reflex as rx

from videovault.components.elements import button, options
from videovault.pages.layout import app_page, page_head, page_not_found
from videovault.state import wording
from videovault.state.session import AdminState


class QueryString(rx.Component):
    """Keeps the query of the page's address in step with what its list shows."""

    library = "$/public/js/query_string.js"
    tag = "QueryString"
    query: rx.Var[str]


class KeepFocus(rx.Component):
    """Moves the focus to the nearest control when the focused element disappears."""

    library = "$/public/js/keep_focus.js"
    tag = "KeepFocus"


query_string = QueryString.create
TABS = {
    "/admin": wording.VIDEOS,
    "/admin/people": wording.PEOPLE,
    "/admin/avatars": wording.AVATARS,
    "/admin/activity": wording.ACTIVITY,
    "/admin/system": wording.SYSTEM,
}
# The browser's time zone, such as Europe/Berlin: days are the viewer's.
ZONE: Any = rx.Var("Intl.DateTimeFormat().resolvedOptions().timeZone", _var_type=str)


def admin_page(path: str, *children: Any, text: Any, actions: Any = ()) -> rx.Component:
    """``text`` is shown below the heading, ``actions`` beside it."""
    return app_page(
        rx.match(
            AdminState.access,
            (
                "yes",
                rx.fragment(
                    page_head(TABS[path], text, *actions), _tabs(path), *children, KeepFocus.create()
                ),
            ),
            ("no", page_not_found()),
            # Without a key, React would reuse the element for the page's head, which counts as a layout shift.
            rx.el.div(class_name="skeleton tall", aria_hidden="true", key="waiting"),
        ),
        active="/admin",
    )


def section(title: Any, *children: Any, text: Any = None, name: str = "", actions: Any = ()) -> rx.Component:
    """A part of a page with its own heading."""
    intro = [] if text is None else [rx.el.p(text, class_name="soft")]
    return rx.el.section(
        rx.el.div(
            rx.el.div(rx.el.h2(title, id=name), *intro),
            *actions,
            class_name="section-head",
        ),
        *children,
        aria_labelledby=name,
        class_name="panel stack",
    )


def search_filter(
    name: str, label: str, value: Any, on_change: Any, placeholder: str = "", **props: Any
) -> rx.Component:
    """A field that filters a list while typing."""
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


def select_filter(name: str, label: str, value: Any, on_change: Any, *options: Any) -> rx.Component:
    """A select that filters a list at once."""
    return rx.el.div(
        rx.el.label(label, html_for=name, class_name="small"),
        rx.el.select(*options, id=name, value=value, on_change=on_change, class_name="input"),
        class_name="tool",
    )


def sorting(state: Any, columns: Mapping[str, str]) -> rx.Component:
    """The column and the direction by which a list is sorted."""
    return rx.el.div(
        rx.el.label("Sort by", html_for="order", class_name="small"),
        rx.el.div(
            rx.el.select(
                *options(columns),
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
    """Buttons for the previous and the next page of a list."""
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


def running_task(name: Any, so_far: Any, on_stop: Any) -> rx.Component:
    """The name and the figures of a running task, and a button to stop it."""
    return rx.el.div(
        rx.el.strong(name, role="status"),  # the figures change too often to be announced
        rx.el.span(so_far, class_name="soft figures"),
        button("Stop", variant="plain", on_click=on_stop),
        class_name="row apart",
    )


def with_code(parts: Any) -> rx.Component:
    """A sentence in which every second part is code."""
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
