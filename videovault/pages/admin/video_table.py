"""The table of everybody's videos; its headings sort it."""

from typing import Any

import reflex as rx

from videovault.components.buttons import button, link_button
from videovault.components.vars import local_time
from videovault.components.video_card import again_button
from videovault.pages.admin.frame import DAY
from videovault.state import wording
from videovault.state.admin_rescue import AdminRescueState
from videovault.state.admin_videos import AdminVideosState


def video_table() -> rx.Component:
    return rx.el.div(
        rx.el.table(
            rx.el.caption(wording.ALL_VIDEOS, class_name="unseen"),
            rx.el.thead(
                rx.el.tr(
                    rx.el.th(
                        _box(
                            "Select all videos on this page",
                            AdminVideosState.select_page,
                            checked=AdminVideosState.is_page_selected,
                        ),
                        scope="col",
                    ),
                    *(_heading(column, text) for column, text in wording.COLUMNS.items()),
                    rx.el.th(rx.el.span("Actions", class_name="unseen"), scope="col"),
                )
            ),
            rx.el.tbody(rx.foreach(AdminVideosState.rows, _row)),
            class_name="table",
        ),
        class_name="sheet-frame below-tools",
        tab_index=0,
        role="region",
        aria_label=wording.ALL_VIDEOS,
        data_focus="true",
    )


def _heading(column: str, text: str) -> rx.Component:
    is_sorted = AdminVideosState.sort == column
    direction = rx.cond(AdminVideosState.is_falling, "descending", "ascending")
    return rx.el.th(
        rx.el.button(
            text,
            rx.el.span(
                rx.cond(is_sorted, rx.cond(AdminVideosState.is_falling, "↓", "↑"), ""),
                aria_hidden="true",
            ),
            type="button",
            on_click=AdminVideosState.sort_by(column),
            class_name="sorter",
        ),
        scope="col",
        custom_attrs={"aria-sort": rx.cond(is_sorted, direction, "none")},
    )


def _row(row: Any) -> rx.Component:
    card = row.card
    is_selected = rx.Var.create(AdminVideosState.selected).to(list[str]).contains(card.video_id)
    return rx.el.tr(
        rx.el.td(
            # Its own master, so that it answers at once; "select all" makes new ones.
            _box(
                wording.to_select(card.title),
                AdminVideosState.select(card.video_id),
                default_checked=is_selected,
                key=AdminVideosState.selection_number,
            )
        ),
        rx.el.th(
            rx.el.div(
                _picture(row),
                rx.el.div(card.title, _below_title(row), _reason(card)),
                class_name="with-picture",
            ),
            scope="row",
            class_name="wide",
        ),
        rx.el.td(row.owner, class_name="breaking"),
        rx.el.td(_standing(card)),
        rx.el.td(card.size, class_name="figures"),
        rx.el.td(local_time(card.created_at, DAY)),
        rx.el.td(_actions(row), class_name="row-actions"),
        key=card.video_id,
    )


def _picture(row: Any) -> rx.Component:
    picture = rx.el.img(
        src=f"/api/auth/video/{row.card.video_id}/thumbnail",
        alt="",
        loading="lazy",
        custom_attrs={"width": "64", "height": "36", "decoding": "async"},
    )
    return rx.el.span(rx.cond(row.has_poster, picture), class_name="tiny-picture")


def _reason(card: Any) -> rx.Component:
    return rx.cond(card.reason != "", rx.el.span(card.reason, class_name="soft small reason"))


def _standing(card: Any) -> rx.Component:
    return rx.cond(
        card.is_cancelled,
        rx.el.span(wording.CANCELLED, class_name="status"),
        rx.el.span(card.status, class_name=f"status {card.status}"),
    )


def _below_title(row: Any) -> rx.Component:
    """What the other columns say, for screens that have no room for them."""
    card = row.card
    return rx.el.span(
        rx.el.span(row.owner, class_name="soft"),
        _standing(card),
        rx.el.span(card.size, class_name="soft figures"),
        rx.el.span(local_time(card.created_at, DAY), class_name="soft"),
        class_name="below-title",
    )


def _actions(row: Any) -> rx.Component:
    card = row.card
    return rx.fragment(
        again_button(card, AdminVideosState.retry(card.video_id)),
        rx.cond(
            row.is_stuck,
            button(
                wording.STORE_FILE,
                look="plain",
                on_click=AdminRescueState.open(card.video_id),
                aria_label=f"{wording.STORE_FILE}: {card.title}",
            ),
        ),
        rx.cond(
            card.status == "ready",
            link_button(
                wording.DOWNLOAD,
                f"/api/auth/video/{card.video_id}/download",
                look="plain",
                reload_document=True,
                aria_label=wording.to_download(card.title),
            ),
        ),
    )


def _box(name: Any, on_change: Any, **props: Any) -> rx.Component:
    return rx.el.label(
        rx.el.input(type="checkbox", on_change=on_change, aria_label=name, **props), class_name="box"
    )
