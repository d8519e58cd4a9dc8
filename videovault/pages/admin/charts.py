"""What was stored on each of the last 30 days, drawn and as a table; in a module of its own, for its weight."""

from typing import Any

import reflex as rx

from videovault.components.vars import local_time
from videovault.pages.admin.frame import DAY, ZONE, section
from videovault.state import wording
from videovault.state.admin_figures import AdminFiguresState

TICK = "(day) => new Date(day).toLocaleDateString(undefined, {day: 'numeric', month: 'short'})"
SIZE = (
    "(size) => !size ? '0' : size < 1e3 ? '' : size < 1e6 ? Math.round(size / 1e3) + ' KB' : size < 1e9 ? Math.round(size / 1e6) + ' MB' : "
    "(size / 1e9).toFixed(1) + ' GB'"
)
HEIGHT = 180


def charts() -> rx.Component:
    state = AdminFiguresState
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
            f"Stored: {state.lately}. In all: {state.videos}, {state.storage}, {state.people}.",
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
                data=rx.Var.create(AdminFiguresState.days).to(list[dict[str, Any]]),
                height=HEIGHT,
                custom_attrs={"accessibilityLayer": False},
            ),
            aria_hidden="true",
            class_name="chart",
        ),
        on_mount=AdminFiguresState.load(ZONE) if key == "videos" else None,
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
                rx.el.tbody(rx.foreach(AdminFiguresState.days, _day)),
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
