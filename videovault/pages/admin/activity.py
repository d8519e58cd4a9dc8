"""Who did what when."""

from typing import Any

import reflex as rx

from videovault.components.buttons import button
from videovault.components.vars import is_empty, local_time
from videovault.pages.admin.frame import ZONE, address, admin_page, choosing, searching
from videovault.state import wording
from videovault.state.admin_activity import AdminActivityState

GROUPS = {
    "": "Everything",
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
            rx.cond(
                state.is_loaded, rx.el.p("Nothing like this has happened.", class_name="empty below-tools")
            ),
            rx.el.ol(
                rx.foreach(state.entries, _entry),
                class_name="panel entries below-tools",
                aria_label="Activity, newest first",
            ),
        ),
        rx.cond(
            state.has_more, rx.el.div(button(wording.SHOW_OLDER, on_click=state.more), class_name="more")
        ),
        address(query=state.address),
        text="Who did what, newest first.",
    )


def _tools() -> rx.Component:
    state = AdminActivityState
    return rx.el.div(
        searching(
            "person",
            "Person",
            state.person,
            state.show_person.debounce(250),
            wording.NAME_OR_EMAIL,
            list="people",
        ),
        rx.el.datalist(rx.foreach(state.people, lambda email: rx.el.option(value=email)), id="people"),
        searching(
            "client-ip",
            wording.CLIENT_IP,
            state.client_ip,
            state.show_client_ip.debounce(250),
            "203.0.113.7",
            input_mode="decimal",
            max_length=45,
        ),
        choosing(
            "kind",
            "What",
            state.group,
            state.show,
            *(rx.el.option(text, value=value) for value, text in GROUPS.items()),
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
                aria_label=f"{entry.client_ip}: show what was done from it",
                class_name="small figures",
            ),
        ),
        rx.el.time(
            local_time(entry.at, AT), custom_attrs={"dateTime": entry.at}, class_name="soft small figures"
        ),
        key=entry.number,
    )
