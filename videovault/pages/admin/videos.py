"""The page of all videos: find, select, delete and retry them."""

from typing import Any

import reflex as rx

from videovault.components.elements import DATE, button, is_empty, link_button, local_time, options, sentence
from videovault.components.overlays import confirmation, deletion_warning, question
from videovault.components.video_card import retry_button
from videovault.pages.admin.admin_layout import (
    admin_page,
    paging,
    query_string,
    running_task,
    search_filter,
    select_filter,
    sorting,
)
from videovault.pages.admin.webhook_log import attach_file_dialog
from videovault.state import wording
from videovault.state.admin.videos import AdminVideosState
from videovault.state.admin.webhook_log import AdminAttachFileState

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
        _results(),
        rx.cond(
            is_empty(AdminVideosState.rows),
            rx.cond(AdminVideosState.is_loaded, _no_videos()),
            _video_table(),
        ),
        paging(AdminVideosState, "Pages of videos"),
        _delete_dialog(),
        _retry_dialog(),
        attach_file_dialog(),
        query_string(query=AdminVideosState.address),
        text=AdminVideosState.total,
    )


def _tools() -> rx.Component:
    return rx.el.div(
        search_filter(
            "search",
            wording.SEARCH,
            AdminVideosState.q,
            AdminVideosState.search.debounce(250),
            "Title or owner",
        ),
        select_filter(
            "status",
            wording.COLUMNS["status"],
            AdminVideosState.status,
            AdminVideosState.show,
            *options(STATUSES),
        ),
        select_filter(
            "owner",
            wording.COLUMNS["owner"],
            AdminVideosState.owner_id,
            AdminVideosState.show_owner,
            rx.el.option("Everyone", value=""),
            rx.foreach(AdminVideosState.owners, lambda owner: rx.el.option(owner.email, value=owner.user_id)),
        ),
        rx.el.div(sorting(AdminVideosState, wording.COLUMNS), class_name="phone-only"),
        class_name="tools",
        role="search",
    )


def _selection() -> rx.Component:
    """The selection and its actions; it stays visible while scrolling."""
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
                        variant="plain",
                        on_click=AdminVideosState.select_matching,
                    ),
                ),
                button(wording.CLEAR, variant="plain", on_click=AdminVideosState.select_none),
                rx.cond(
                    selection.failed != "",
                    button(wording.RETRY, on_click=AdminVideosState.ask("retry")),
                ),
                button(
                    wording.DELETE, variant="danger", symbol="delete", on_click=AdminVideosState.ask("delete")
                ),
                class_name="selection",
            ),
        ),
        role="status",
    )


def _results() -> rx.Component:
    """Progress of the action on the selection, and its result for each video."""
    state = AdminVideosState
    return rx.cond(
        (state.activity != "") | ~is_empty(state.results),
        rx.el.section(
            rx.cond(
                state.activity != "",
                rx.el.div(
                    running_task(state.activity, state.amount_done, state.stop),
                    rx.el.progress(value=state.percent, max=100, aria_label=state.activity),
                    class_name="stack close",
                ),
                rx.el.div(
                    rx.el.strong(state.verdict, role="status"),
                    button(wording.CLOSE, variant="plain", on_click=state.hide_results),
                    class_name="row apart",
                ),
            ),
            rx.el.ul(
                rx.foreach(state.results, _result),
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


def _result(result: Any) -> rx.Component:
    return rx.el.li(
        rx.el.span(result.title, class_name="title-of"),
        rx.el.span(result.message, class_name=rx.cond(result.is_done, "soft", "error")),
        key=result.video_id,
    )


def _no_videos() -> rx.Component:
    is_all = (AdminVideosState.q == "") & (AdminVideosState.status == "") & (AdminVideosState.owner_id == "")
    text = rx.cond(is_all, "No videos yet", "No matching videos")
    return rx.el.p(text, class_name="empty below-tools")


def _delete_dialog() -> rx.Component:
    selection = AdminVideosState.confirmed_selection
    return confirmation(
        f"{wording.to_delete(selection.summary)}?",
        rx.el.p(selection.titles),
        rx.el.p(sentence("Owned by {owners}.", owners=rx.el.strong(selection.owners))),
        rx.el.p(deletion_warning(selection.count), class_name="soft"),
        name="deletion",
        is_open=AdminVideosState.confirming == "delete",
        is_busy=False,
        on_confirm=AdminVideosState.carry_out,
        on_dismiss=AdminVideosState.cancel,
    )


def _retry_dialog() -> rx.Component:
    return question(
        f"Retry {AdminVideosState.confirmed_selection.failed}?",
        rx.el.p(
            "Videos whose file is known pick up where they stopped. The others are generated again and may use another credit.",
            class_name="soft",
        ),
        name="retrying",
        is_open=AdminVideosState.confirming == "retry",
        confirm_button=button(wording.RETRY, variant="main", on_click=AdminVideosState.carry_out),
        on_dismiss=AdminVideosState.cancel,
    )


def _video_table() -> rx.Component:
    return rx.el.div(
        rx.el.table(
            rx.el.caption(wording.ALL_VIDEOS, class_name="unseen"),
            rx.el.thead(
                rx.el.tr(
                    rx.el.th(
                        _checkbox(
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
    reason = rx.cond(card.reason != "", rx.el.span(card.reason, class_name="soft small reason"))
    return rx.el.tr(
        rx.el.td(
            # Uncontrolled, so that it reacts at once; "select all" replaces it by means of the key.
            _checkbox(
                wording.to_select(card.title),
                AdminVideosState.select(card.video_id),
                default_checked=is_selected,
                key=AdminVideosState.selection_number,
            )
        ),
        rx.el.th(
            rx.el.div(
                _picture(row),
                rx.el.div(card.title, _below_title(row), reason),
                class_name="with-picture",
            ),
            scope="row",
            class_name="wide",
        ),
        rx.el.td(row.owner, class_name="breaking"),
        rx.el.td(_status(card)),
        rx.el.td(card.size, class_name="figures"),
        rx.el.td(local_time(card.created_at, DATE)),
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


def _status(card: Any) -> rx.Component:
    return rx.cond(
        card.is_cancelled,
        rx.el.span(wording.CANCELLED, class_name="status"),
        rx.el.span(card.status, class_name=f"status {card.status}"),
    )


def _below_title(row: Any) -> rx.Component:
    """The other columns' contents, for narrow screens."""
    card = row.card
    return rx.el.span(
        rx.el.span(row.owner, class_name="soft"),
        _status(card),
        rx.el.span(card.size, class_name="soft figures"),
        rx.el.span(local_time(card.created_at, DATE), class_name="soft"),
        class_name="below-title",
    )


def _actions(row: Any) -> rx.Component:
    card = row.card
    return rx.fragment(
        retry_button(card, AdminVideosState.retry(card.video_id)),
        rx.cond(
            row.is_stuck,
            button(
                wording.ATTACH_FILE,
                variant="plain",
                on_click=AdminAttachFileState.open(card.video_id),
                aria_label=f"{wording.ATTACH_FILE}: {card.title}",
            ),
        ),
        rx.cond(
            card.status == "ready",
            link_button(
                wording.DOWNLOAD,
                f"/api/auth/video/{card.video_id}/download",
                variant="plain",
                reload_document=True,
                aria_label=wording.to_download(card.title),
            ),
        ),
    )


def _checkbox(name: Any, on_change: Any, **props: Any) -> rx.Component:
    return rx.el.label(
        rx.el.input(type="checkbox", on_change=on_change, aria_label=name, **props), class_name="box"
    )
