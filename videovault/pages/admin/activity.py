"""The activity page: the audit log with its filters."""

from typing import Any

import reflex as rx

from videovault.components.elements import button, is_empty, local_time, options
from videovault.pages.admin.admin_layout import ZONE, admin_page, query_string, search_filter, select_filter
from videovault.state import wording
from videovault.state.admin.activity import AdminActivityState

GROUPS = {
    "": "All activity",
    "sign-ins": "Sign-ins and accounts",
    "creations": "New videos",
    "results": "Ready and failed",
    "downloads": "Downloads",
    "shares": "Sharing",
    "deletions": "Deletions",
    "admin": wording.ADMIN,
}
AT = "{weekday: 'short', day: 'numeric', month: 'short', hour: 'numeric', minute: '2-digit'}"


def activity() -> rx.Component:
    state = AdminActivityState
    return admin_page(
        "/admin/activity",
        _tools(),
        rx.cond(
            is_empty(state.entries),
            rx.cond(state.is_loaded, rx.el.p("No matching activity", class_name="empty below-tools")),
            rx.el.ol(
                rx.foreach(state.entries, _entry),
                class_name="panel entries below-tools",
                aria_label="Activity, newest first",
            ),
        ),
        rx.cond(
            state.has_more, rx.el.div(button(wording.SHOW_OLDER, on_click=state.more), class_name="more")
        ),
        query_string(query=state.address),
        text="Who did what, newest first.",
    )


def _tools() -> rx.Component:
    state = AdminActivityState
    return rx.el.div(
        search_filter(
            "person",
            "Person",
            state.person,
            state.show_person.debounce(250),
            wording.NAME_OR_EMAIL,
            list="people",
        ),
        rx.el.datalist(rx.foreach(state.suggestions, lambda email: rx.el.option(value=email)), id="people"),
        search_filter(
            "client-ip",
            wording.CLIENT_IP,
            state.client_ip,
            state.show_client_ip.debounce(250),
            "203.0.113.7",
            input_mode="decimal",
            max_length=45,
        ),
        select_filter(
            "kind",
            "Event",
            state.group,
            state.show,
            *options(GROUPS),
        ),
        rx.el.div(
            rx.el.label(wording.DAY, html_for="day", class_name="small"),
            rx.el.input(
                id="day",
                type="date",
                value=state.day,
                on_change=lambda day: state.show_day(day, ZONE),
                class_name="input",
                aria_describedby="day-error",
            ),
            rx.el.span(id="day-error", class_name="error"),
            class_name="tool",
        ),
        class_name="tools",
        role="search",
    )


def _entry(entry: Any) -> rx.Component:
    return rx.el.li(
        rx.el.span(entry.text, class_name=rx.cond(entry.is_bad, "bad-news", "")),
        rx.cond(
            entry.times != "",
            rx.el.span(
                f"{entry.times}, last {local_time(entry.last_at, AT)}",
                class_name="soft small figures tallied",
            ),
        ),
        rx.cond(
            entry.client_ip != "",
            rx.el.a(
                entry.client_ip,
                href=entry.from_here,
                aria_label=f"{entry.client_ip}: show activity from this address",
                class_name="small figures",
            ),
        ),
        rx.el.time(
            local_time(entry.at, AT), custom_attrs={"dateTime": entry.at}, class_name="soft small figures"
        ),
        key=entry.number,
    )
