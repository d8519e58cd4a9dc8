"""The test order: one button, and each call with what was sent, answered and read."""

from typing import Any

import reflex as rx

from videovault.components.forms import button, problem
from videovault.components.text import local_time, sentence
from videovault.pages.admin.layout import WHEN, section
from videovault.state import wording
from videovault.state.admin.test_order import AdminTestOrderState


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
        rx.el.ol(rx.foreach(state.order_steps, _step), class_name="stack order-steps", aria_live="polite"),
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


def _step(step: Any) -> rx.Component:
    return rx.el.li(
        rx.el.h3(step.title),
        rx.el.p(step.read, class_name=rx.cond(step.is_bad, "error", "")),
        _text("Sent", "Received", step),
        rx.cond(
            step.answer != "",
            rx.el.details(rx.el.summary(wording.ANSWER), rx.el.pre(step.answer, tab_index=0)),
        ),
        class_name="line-text",
    )


def _text(ours: str, theirs: str, step: Any) -> rx.Component:
    return rx.cond(
        step.sent != "",
        rx.el.details(
            rx.el.summary(rx.cond(step.is_report, theirs, ours)), rx.el.pre(step.sent, tab_index=0)
        ),
    )
