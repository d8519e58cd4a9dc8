"""The system page: live checks, test order, charts, mismatches of S3 and database, and the webhook log."""

from typing import Any

import reflex as rx

from videovault.components.elements import DATE, DATE_TIME, button, form_error, is_empty, local_time, sentence
from videovault.components.overlays import question
from videovault.components.progress import bar
from videovault.pages.admin.admin_layout import ZONE, admin_page, running_task, section, with_code
from videovault.pages.admin.webhook_log import attach_file_dialog, webhook_log
from videovault.state import wording
from videovault.state.admin.activity import AdminStatisticsState
from videovault.state.admin.mismatches import AdminMismatchesState
from videovault.state.admin.system import AdminSystemState, AdminTestOrderState

DAY_TICK = "(day) => new Date(day).toLocaleDateString(undefined, {day: 'numeric', month: 'short'})"
SIZE_TICK = (
    "(size) => !size ? '0' : size < 1e3 ? '' : size < 1e6 ? Math.round(size / 1e3) + ' KB' : size < 1e9 ? Math.round(size / 1e6) + ' MB' : "
    "(size / 1e9).toFixed(1) + ' GB'"
)
CHART_HEIGHT = 180


class Probe(rx.el.Img):  # type: ignore[misc] # Reflex ships its elements without types
    """An image that reports whether it was loaded."""

    on_load: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg,valid-type] # Reflex's spelling
    on_error: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg,valid-type] # Reflex's spelling


def system() -> rx.Component:
    return admin_page(
        "/admin/system",
        rx.el.div(
            _checks(), _test_order(), _charts(), _mismatches(), webhook_log(), class_name="stack below-tools"
        ),
        attach_file_dialog(),
        text="The state of every part, checked live.",
    )


def _checks() -> rx.Component:
    state = AdminSystemState
    return section(
        "Checks",
        rx.el.p(
            rx.cond(state.verdict != "", state.verdict, "Checking every part…"),
            class_name=rx.cond(state.is_bad, "verdict bad-news", "verdict"),
            role="status",
        ),
        rx.el.ul(rx.foreach(state.checks, _check), class_name="checks"),
        _probe(),
        name="checks",
        actions=[
            button(
                rx.cond(state.is_running, wording.CHECKING, "Check again"),
                on_click=[state.run, state.ask_browser],
                aria_disabled=state.is_running,
            )
        ],
    )


def _check(check: Any) -> rx.Component:
    return rx.el.li(
        rx.el.span(check.word, class_name=f"badge check-{check.state}"),
        rx.el.div(
            rx.el.h3(check.title),
            rx.cond(check.found != "", rx.el.p(check.found)),
            rx.cond(
                (check.state == "broken") & ~is_empty(check.steps),
                rx.el.ol(rx.foreach(check.steps, _step), class_name="trail"),
            ),
            rx.cond(
                ~is_empty(check.details),
                rx.el.ul(rx.foreach(check.details, rx.el.li), class_name="details soft"),
            ),
            rx.cond(
                check.advice != "",
                rx.el.p(
                    rx.cond(
                        check.problem != "",
                        sentence(
                            "{trouble}: {mend}",
                            trouble=rx.el.strong(check.problem),
                            mend=with_code(check.advice_parts),
                        ),
                        with_code(check.advice_parts),
                    ),
                    class_name="mend",
                ),
            ),
            class_name="line-text",
        ),
        key=check.name,
        data_check=check.name,
        data_state=check.state,
    )


def _step(step: Any) -> rx.Component:
    return rx.el.li(
        rx.cond(step.is_done, rx.el.span(f"{step.name}: passed", class_name="soft"), f"{step.name}: failed"),
    )


def _probe() -> rx.Component:
    """The browser loads this image from S3, as it does posters and videos, which shows whether S3 can be reached."""
    return rx.cond(
        AdminSystemState.probe_url != "",
        Probe.create(
            src=AdminSystemState.probe_url,
            alt="",
            class_name="unseen",
            key=AdminSystemState.probe_url,
            on_load=AdminSystemState.report_browser_result(True),
            on_error=AdminSystemState.report_browser_result(False),
        ),
    )


def _test_order() -> rx.Component:
    state = AdminTestOrderState
    return section(
        "Test order",
        form_error("test-order"),
        rx.cond(
            state.order_at != "",
            rx.el.p(
                sentence(
                    "Sent {at}",
                    at=rx.el.time(
                        local_time(state.order_at, DATE_TIME), custom_attrs={"dateTime": state.order_at}
                    ),
                ),
                class_name="soft small",
            ),
        ),
        rx.el.ol(
            rx.foreach(state.order_steps, _order_step), class_name="stack order-steps", aria_live="polite"
        ),
        rx.cond(state.is_ordering, rx.el.p("Waiting for the generator…", role="status")),
        name="test-order",
        text="Sends a sample order, marked as a test, to your webhooks and shows how the responses and the report were read. "
        "No video is stored. Your generator may use a credit.",
        actions=[
            button(
                rx.cond(state.is_ordering, "Waiting…", "Send test order"),
                on_click=state.order,
                aria_disabled=state.is_ordering,
            )
        ],
    )


def _order_step(step: Any) -> rx.Component:
    return rx.el.li(
        rx.el.h3(step.title),
        rx.el.p(step.read, class_name=rx.cond(step.is_bad, "error", "")),
        rx.cond(
            step.sent != "",
            rx.el.details(
                rx.el.summary(rx.cond(step.is_report, "Received", "Sent")), rx.el.pre(step.sent, tab_index=0)
            ),
        ),
        rx.cond(
            step.answer != "",
            rx.el.details(rx.el.summary(wording.ANSWER), rx.el.pre(step.answer, tab_index=0)),
        ),
        class_name="line-text",
    )


def _charts() -> rx.Component:
    state = AdminStatisticsState
    return section(
        "Last 30 days",
        rx.el.div(
            _chart("Videos stored per day", "videos", "(count) => count.toLocaleString()"),
            _chart("Storage added per day", "bytes", SIZE_TICK),
            class_name="charts",
        ),
        _table(),
        name="figures",
        text=rx.cond(
            state.is_loaded,
            f"Stored: {state.last_30_days}. Total: {state.videos}, {state.storage}, {state.accounts}.",
            "Counting…",
        ),
    )


def _chart(title: str, key: str, tick_formatter: str) -> rx.Component:
    """Hidden from screen readers: the table below has the same figures."""
    return rx.el.figure(
        rx.el.figcaption(title, class_name="small label"),
        rx.el.div(
            rx.recharts.bar_chart(
                rx.recharts.bar(data_key=key, fill="var(--accent)", is_animation_active=False),
                rx.recharts.x_axis(
                    data_key="day",
                    tick_formatter=DAY_TICK,
                    tick_line=False,
                    stroke="var(--line-strong)",
                    interval="preserveStartEnd",
                    min_tick_gap=24,
                ),
                rx.recharts.y_axis(
                    tick_formatter=tick_formatter,
                    allow_decimals=False,
                    axis_line=False,
                    tick_line=False,
                    stroke="var(--line-strong)",
                    width=64,
                ),
                data=rx.Var.create(AdminStatisticsState.days).to(list[dict[str, Any]]),
                height=CHART_HEIGHT,
                custom_attrs={"accessibilityLayer": False},
            ),
            aria_hidden="true",
            class_name="chart",
        ),
        on_mount=AdminStatisticsState.load(ZONE) if key == "videos" else None,
    )


def _table() -> rx.Component:
    return rx.el.details(
        rx.el.summary("Show as a table"),
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
        rx.el.th(local_time(day.day, DATE), scope="row"),
        rx.el.td(day.videos, class_name="figures"),
        rx.el.td(day.size, class_name="figures"),
        key=day.day,
    )


def _mismatches() -> rx.Component:
    state = AdminMismatchesState
    return section(
        "S3 and database",
        form_error("mismatches"),
        rx.cond(state.activity != "", _comparison()),
        rx.el.p(state.verdict, role="status", class_name="verdict"),
        rx.cond(
            ~is_empty(state.mismatches),
            rx.el.ul(rx.foreach(state.mismatches, _mismatch), class_name="lines"),
        ),
        _repair_dialog(),
        name="mismatches",
        text="Files without a video, and videos whose file is missing.",
        actions=[
            rx.cond(
                state.can_repair,
                button(
                    wording.REPAIR, variant="main", on_click=state.ask, aria_disabled=state.activity != ""
                ),
            ),
            button("Check for mismatches", on_click=state.check, aria_disabled=state.activity != ""),
        ],
    )


def _comparison() -> rx.Component:
    state = AdminMismatchesState
    return rx.el.div(
        running_task(state.activity, state.amount_done, state.stop),
        bar(state.percent, state.activity),
        rx.el.p(
            "A large bucket takes several minutes. You can leave this page meanwhile.",
            class_name="soft small",
        ),
        class_name="stack close",
    )


def _mismatch(found: Any) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.div(
                rx.el.strong(found.title),
                rx.el.span(
                    rx.cond(
                        found.repaired != "", f"{found.figures}, repaired {found.repaired}", found.figures
                    ),
                    class_name="figures",
                ),
                class_name="row apart",
            ),
            rx.el.span(with_code(found.advice), class_name="soft small"),
            rx.el.details(
                rx.el.summary("Details", aria_label=f"Details: {found.title}"),
                rx.el.ul(
                    rx.foreach(found.examples, _example),
                    class_name="small examples",
                    tab_index=0,
                    aria_label=found.title,
                ),
                rx.cond(found.more != "", rx.el.p(found.more, class_name="soft small")),
                open=found.has_failures,
            ),
            class_name="line-text",
        ),
        key=found.title,
    )


def _example(item: Any) -> rx.Component:
    return rx.el.li(
        rx.el.span(
            sentence("{name} {detail}", name=item.name, detail=rx.el.span(item.detail, class_name="soft"))
        ),
        rx.cond(item.is_repaired, rx.el.span("Repaired", class_name="soft")),
        rx.cond(item.why != "", rx.el.span(item.why, class_name="error")),
        key=item.name,
    )


def _repair_dialog() -> rx.Component:
    state = AdminMismatchesState
    return question(
        "Repair these mismatches?",
        rx.el.ul(rx.foreach(state.to_change, rx.el.li)),
        rx.cond(
            state.to_delete != "",
            rx.el.p(
                sentence(
                    "This permanently deletes at most {objects}. Anything newer than an hour is kept.",
                    objects=rx.el.strong(state.to_delete),
                ),
            ),
        ),
        rx.el.p("Playable videos are not touched.", class_name="soft"),
        name="mending",
        is_open=state.is_confirming,
        confirm_button=button(wording.REPAIR, variant="main", on_click=state.repair),
        on_dismiss=state.cancel,
    )
