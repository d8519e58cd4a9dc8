"""Everybody's videos: find them, select many, delete them or try them again."""

from typing import Any

import reflex as rx

from videovault.components.dialog import confirmation, question
from videovault.components.forms import button, link_button
from videovault.components.text import is_empty, local_time, sentence
from videovault.components.video_card import again_button
from videovault.pages.admin.layout import (
    DAY,
    address,
    admin_page,
    choosing,
    paging,
    searching,
    sorting,
    working,
)
from videovault.pages.admin.webhook_log import attach_file_dialog
from videovault.state import wording
from videovault.state.admin.videos import AdminVideosState
from videovault.state.admin.webhook_log import AdminAttachFileState

# The table of everybody's videos; its headings sort it.


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
    direction = rx.cond(AdminVideosState.is_descending, "descending", "ascending")
    return rx.el.th(
        rx.el.button(
            text,
            rx.el.span(
                rx.cond(is_sorted, rx.cond(AdminVideosState.is_descending, "↓", "↑"), ""),
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
                wording.ATTACH_FILE,
                look="plain",
                on_click=AdminAttachFileState.open(card.video_id),
                aria_label=f"{wording.ATTACH_FILE}: {card.title}",
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


STATUSES = {
    "": "Any status",
    "ready": wording.READY,
    "processing": wording.PROCESSING,
    "failed": "Failed or cancelled",
    "draft": wording.DRAFT,
}


def videos() -> rx.Component:
    return admin_page(
        "/admin",
        _tools(),
        _selection(),
        _progress(),
        rx.cond(
            is_empty(AdminVideosState.rows),
            rx.cond(AdminVideosState.is_loaded, _nothing()),
            video_table(),
        ),
        paging(AdminVideosState, "Pages of videos"),
        _deletion(),
        _retrying(),
        attach_file_dialog(),
        address(query=AdminVideosState.address),
        text=AdminVideosState.total,
    )


def _tools() -> rx.Component:
    return rx.el.div(
        searching(
            "search",
            wording.SEARCH,
            AdminVideosState.q,
            AdminVideosState.search.debounce(250),
            "Title or owner",
        ),
        choosing(
            "status",
            wording.COLUMNS["status"],
            AdminVideosState.status,
            AdminVideosState.show,
            *(rx.el.option(text, value=value) for value, text in STATUSES.items()),
        ),
        choosing(
            "owner",
            wording.COLUMNS["owner"],
            AdminVideosState.owner_id,
            AdminVideosState.show_owner,
            rx.el.option("Everybody", value=""),
            rx.foreach(AdminVideosState.owners, lambda owner: rx.el.option(owner.email, value=owner.user_id)),
        ),
        rx.el.div(
            sorting(AdminVideosState, wording.COLUMNS),
            class_name="phone-only",
        ),
        class_name="tools",
        role="search",
    )


def _selection() -> rx.Component:
    """What is selected, and what can be done to it; it stays in sight."""
    selection = AdminVideosState.selection
    return rx.el.div(
        rx.cond(
            selection.count > 0,
            rx.el.div(
                rx.el.span(f"{selection.summary} selected", class_name="figures first"),
                rx.cond(
                    AdminVideosState.all_matching != "",
                    button(
                        f"Select all {AdminVideosState.all_matching}",
                        look="plain",
                        on_click=AdminVideosState.select_matching,
                    ),
                ),
                button(wording.CLEAR, look="plain", on_click=AdminVideosState.select_none),
                rx.cond(
                    selection.failed != "",
                    button(wording.TRY_AGAIN, on_click=AdminVideosState.ask("retry")),
                ),
                button(
                    wording.DELETE, look="danger", symbol="delete", on_click=AdminVideosState.ask("delete")
                ),
                class_name="selection",
            ),
        ),
        role="status",
    )


def _progress() -> rx.Component:
    """How far it is, and what became of each video."""
    state = AdminVideosState
    return rx.cond(
        (state.activity != "") | ~is_empty(state.results),
        rx.el.section(
            rx.cond(
                state.activity != "",
                rx.el.div(
                    working(state.activity, state.amount_done, state.stop),
                    rx.el.progress(value=state.percent, max=100, aria_label=state.activity),
                    class_name="stack close",
                ),
                rx.el.div(
                    rx.el.strong(state.verdict, role="status"),
                    button(wording.CLOSE, look="plain", on_click=state.hide_results),
                    class_name="row apart",
                ),
            ),
            rx.el.ul(
                rx.foreach(state.results, _outcome),
                class_name="outcomes",
                tab_index=0,
                aria_label=wording.RESULTS,
            ),
            class_name="panel stack close below-tools",
            aria_label=wording.RESULTS,
            tab_index=-1,
            data_focus="true",
        ),
    )


def _outcome(outcome: Any) -> rx.Component:
    return rx.el.li(
        rx.el.span(outcome.title, class_name="title-of"),
        rx.el.span(outcome.message, class_name=rx.cond(outcome.is_done, "soft", "error")),
        key=outcome.video_id,
    )


def _nothing() -> rx.Component:
    is_all = (AdminVideosState.q == "") & (AdminVideosState.status == "") & (AdminVideosState.owner_id == "")
    return rx.el.p(
        rx.cond(is_all, "There are no videos yet.", "No video is found by this."),
        class_name="empty below-tools",
    )


def _deletion() -> rx.Component:
    asked_about = AdminVideosState.confirmed_selection
    return confirmation(
        f"{wording.to_delete(asked_about.summary)}?",
        rx.el.p(asked_about.titles),
        rx.el.p(sentence("They belong to {owners}.", owners=rx.el.strong(asked_about.owners))),
        rx.el.p(
            "They go for good, for their owners too: the videos, their pictures and their scripts.",
            class_name="soft",
        ),
        name="deletion",
        is_open=AdminVideosState.confirming == "delete",
        is_busy=False,
        on_confirm=AdminVideosState.carry_out,
        on_dismiss=AdminVideosState.cancel,
    )


def _retrying() -> rx.Component:
    return question(
        f"Try {AdminVideosState.confirmed_selection.failed} again?",
        rx.el.p(
            "Those whose file was known go on from where they broke. The others are made anew and paid for again.",
            class_name="soft",
        ),
        name="retrying",
        is_open=AdminVideosState.confirming == "retry",
        way_back=wording.CANCEL,
        way_on=button(wording.TRY_AGAIN, look="main", on_click=AdminVideosState.carry_out),
        on_dismiss=AdminVideosState.cancel,
    )
