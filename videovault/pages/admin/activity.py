"""Who did what when."""

from typing import Any

import reflex as rx

from videovault.components.forms import button
from videovault.components.text import is_empty, local_time
from videovault.pages.admin.layout import DAY, ZONE, address, admin_page, choosing, searching, section
from videovault.state import wording
from videovault.state.admin.activity import AdminActivityState, AdminStatisticsState

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
        rx.el.datalist(rx.foreach(state.suggestions, lambda email: rx.el.option(value=email)), id="people"),
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


# What was stored on each of the last 30 days, drawn and as a table; in a module of its own, for its weight.

TICK = "(day) => new Date(day).toLocaleDateString(undefined, {day: 'numeric', month: 'short'})"
SIZE = (
    "(size) => !size ? '0' : size < 1e3 ? '' : size < 1e6 ? Math.round(size / 1e3) + ' KB' : size < 1e9 ? Math.round(size / 1e6) + ' MB' : "
    "(size / 1e9).toFixed(1) + ' GB'"
)
HEIGHT = 180


def charts() -> rx.Component:
    state = AdminStatisticsState
    return section(
        "Last 30 days",
        rx.el.div(
            _chart("Videos stored per day", "videos", "(count) => count.toLocaleString()"),
            _chart("Storage added per day", "bytes", SIZE),
            class_name="charts",
        ),
        _table(),
        name="figures",
        text=rx.cond(
            state.is_loaded,
            f"Stored: {state.last_30_days}. In all: {state.videos}, {state.storage}, {state.accounts}.",
            "Counting…",
        ),
    )


def _chart(title: str, key: str, words: str) -> rx.Component:
    """For the eye; the table below says the same."""
    return rx.el.figure(
        rx.el.figcaption(title, class_name="small label"),
        rx.el.div(
            rx.recharts.bar_chart(
                rx.recharts.bar(data_key=key, fill="var(--accent)", is_animation_active=False),
                rx.recharts.x_axis(
                    data_key="day",
                    tick_formatter=TICK,
                    tick_line=False,
                    stroke="var(--line-strong)",
                    interval="preserveStartEnd",
                    min_tick_gap=24,
                ),
                rx.recharts.y_axis(
                    tick_formatter=words,
                    allow_decimals=False,
                    axis_line=False,
                    tick_line=False,
                    stroke="var(--line-strong)",
                    width=64,
                ),
                data=rx.Var.create(AdminStatisticsState.days).to(list[dict[str, Any]]),
                height=HEIGHT,
                custom_attrs={"accessibilityLayer": False},
            ),
            aria_hidden="true",
            class_name="chart",
        ),
        on_mount=AdminStatisticsState.load(ZONE) if key == "videos" else None,
    )


def _table() -> rx.Component:
    return rx.el.details(
        rx.el.summary("The same as a table"),
        rx.el.div(
            rx.el.table(
                rx.el.caption(wording.STORED_PER_DAY, class_name="unseen"),
                rx.el.thead(
                    rx.el.tr(
                        *(
                            rx.el.th(text, scope="col")
                            for text in (wording.DAY, wording.VIDEOS, wording.STORAGE)
                        )
                    )
                ),
                rx.el.tbody(rx.foreach(AdminStatisticsState.days, _day)),
                class_name="table plain-table",
            ),
            class_name="sheet-frame",
            tab_index=0,
            role="region",
            aria_label=wording.STORED_PER_DAY,
        ),
    )


def _day(day: Any) -> rx.Component:
    return rx.el.tr(
        rx.el.th(local_time(day.day, DAY), scope="row"),
        rx.el.td(day.videos, class_name="figures"),
        rx.el.td(day.size, class_name="figures"),
        key=day.day,
    )
