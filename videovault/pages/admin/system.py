"""How the installation is: every part tried live, what it holds, and what has gone astray."""

from typing import Any

import reflex as rx

from videovault.components.forms import button, problem
from videovault.components.text import is_empty, local_time, sentence
from videovault.pages.admin.activity import charts
from videovault.pages.admin.layout import WHEN, admin_page, section, with_code
from videovault.pages.admin.mismatches import mismatches
from videovault.pages.admin.webhook_log import attach_file_dialog, webhook_log
from videovault.state import wording
from videovault.state.admin.system import AdminSystemState, AdminTestOrderState

# The test order: one button, and each call with what was sent, answered and read.


def test_order() -> rx.Component:
    state = AdminTestOrderState
    return section(
        "Test order",
        problem("test-order"),
        rx.cond(
            state.order_at != "",
            rx.el.p(
                sentence(
                    "Sent {at}",
                    at=rx.el.time(
                        local_time(state.order_at, WHEN), custom_attrs={"dateTime": state.order_at}
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
        text="Sends a sample order, marked as a test, to your webhooks and shows what was read from the answers and the "
        "report. No video is stored. Your generator may use a credit.",
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
        _order_text("Sent", "Received", step),
        rx.cond(
            step.answer != "",
            rx.el.details(rx.el.summary(wording.ANSWER), rx.el.pre(step.answer, tab_index=0)),
        ),
        class_name="line-text",
    )


def _order_text(ours: str, theirs: str, step: Any) -> rx.Component:
    return rx.cond(
        step.sent != "",
        rx.el.details(
            rx.el.summary(rx.cond(step.is_report, theirs, ours)), rx.el.pre(step.sent, tab_index=0)
        ),
    )


class Probe(rx.el.Img):  # type: ignore[misc] # Reflex ships its elements without types
    """A picture that says whether it came."""

    on_load: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg,valid-type] # Reflex's way
    on_error: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg,valid-type] # Reflex's way


def system() -> rx.Component:
    return admin_page(
        "/admin/system",
        rx.el.div(
            _checks(), test_order(), charts(), mismatches(), webhook_log(), class_name="stack below-tools"
        ),
        attach_file_dialog(),
        text="Every part was checked just now.",
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
                is_empty(check.steps),
                rx.fragment(),
                rx.cond(
                    check.state == "broken", rx.el.ol(rx.foreach(check.steps, _step), class_name="trail")
                ),
            ),
            rx.cond(
                is_empty(check.details),
                rx.fragment(),
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
        rx.cond(
            step.is_done, rx.el.span(f"{step.name} worked", class_name="soft"), f"{step.name} did not work"
        ),
    )


def _probe() -> rx.Component:
    """The browser fetches it as it fetches posters and videos, which shows whether these would come."""
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
