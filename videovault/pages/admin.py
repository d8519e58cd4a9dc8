"""Everybody's videos, for admins; for others this page does not exist."""

from typing import Any

import reflex as rx

from videovault.components.buttons import button
from videovault.components.dialog import confirmation
from videovault.components.vars import is_empty, local_time
from videovault.pages.layout import app_page, page_head
from videovault.pages.not_found import nothing_here
from videovault.state.admin import AdminState


def admin() -> rx.Component:
    return app_page(
        rx.match(
            AdminState.access,
            ("yes", rx.fragment(_videos(), _deletion())),
            ("no", nothing_here()),
            rx.el.div(class_name="skeleton tall", aria_hidden="true"),
        ),
        active="/admin",
    )


def _videos() -> rx.Component:
    return rx.fragment(
        page_head(
            "All videos",
            AdminState.total,
            button(
                rx.cond(is_empty(AdminState.selected), "Delete", f"Delete {AdminState.summary}"),
                symbol="delete",
                disabled=is_empty(AdminState.selected),
                on_click=AdminState.ask,
            ),
        ),
        _outcomes(),
        rx.cond(is_empty(AdminState.rows), rx.el.p("There are no videos yet.", class_name="empty"), _table()),
    )


def _table() -> rx.Component:
    return rx.el.div(
        rx.el.table(
            rx.el.caption("All videos", class_name="unseen"),
            rx.el.thead(
                rx.el.tr(
                    rx.el.th(
                        _box(
                            "Select all videos",
                            AdminState.select_all,
                            checked=AdminState.is_everything_selected,
                        )
                    ),
                    *(
                        rx.el.th(text, scope="col")
                        for text in ("Title", "Owner", "Status", "Size", "Created")
                    ),
                )
            ),
            rx.el.tbody(rx.foreach(AdminState.rows, _row)),
            class_name="table",
        ),
        class_name="sheet-frame",
        tab_index=0,
        role="region",
        aria_label="All videos",
    )


def _row(row: Any) -> rx.Component:
    card = row.card
    is_selected = rx.Var.create(AdminState.selected).to(list[str]).contains(card.video_id)
    return rx.el.tr(
        rx.el.td(
            # Its own master, so that it answers at once; "select all" makes new ones.
            _box(
                f"Select {card.title}",
                AdminState.select(card.video_id),
                default_checked=is_selected,
                key=AdminState.selection_number,
            )
        ),
        rx.el.th(card.title, scope="row", class_name="wide"),
        rx.el.td(row.owner),
        rx.el.td(rx.el.span(card.status, class_name=f"status {card.status}")),
        rx.el.td(card.size, class_name="figures"),
        rx.el.td(local_time(card.created_at, "{dateStyle: 'medium', timeStyle: 'short'}")),
        key=card.video_id,
    )


def _box(name: Any, on_change: Any, **props: Any) -> rx.Component:
    return rx.el.input(type="checkbox", on_change=on_change, aria_label=name, **props)


def _outcomes() -> rx.Component:
    return rx.el.div(
        rx.cond(
            is_empty(AdminState.outcomes),
            rx.fragment(),
            rx.el.ul(rx.foreach(AdminState.outcomes, _outcome), class_name="panel outcomes"),
        ),
        role="status",
    )


def _outcome(outcome: Any) -> rx.Component:
    return rx.el.li(
        rx.el.strong(outcome.title),
        rx.el.span(outcome.message, class_name=rx.cond(outcome.is_deleted, "soft", "error")),
        class_name="row apart",
    )


def _deletion() -> rx.Component:
    return confirmation(
        f"Delete {AdminState.summary}?",
        rx.el.p("They go for good, for their owners too: the videos, their pictures and their scripts."),
        name="deletion",
        is_open=AdminState.is_asking,
        is_busy=AdminState.is_deleting,
        on_confirm=AdminState.delete,
        on_dismiss=AdminState.spare,
    )
