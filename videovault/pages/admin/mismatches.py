"""Mismatches of S3 and database: checked for, listed, and repaired after a confirmation."""

from typing import Any

import reflex as rx

from videovault.components.dialog import question
from videovault.components.elements import button, form_error, is_empty, sentence
from videovault.components.progress import bar
from videovault.pages.admin.admin_layout import running_task, section, with_code
from videovault.state import wording
from videovault.state.admin.mismatches import AdminMismatchesState


def mismatches() -> rx.Component:
    state = AdminMismatchesState
    return section(
        "S3 and database",
        form_error("mismatches"),
        rx.cond(state.activity != "", _progress()),
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


def _progress() -> rx.Component:
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
                    rx.foreach(found.examples, _item),
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


def _item(item: Any) -> rx.Component:
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
