"""Everybody's videos: find them, select many, delete them or try them again."""

from typing import Any

import reflex as rx

from videovault.components.buttons import button
from videovault.components.dialog import confirmation, question
from videovault.components.sentences import sentence
from videovault.components.vars import is_empty
from videovault.pages.admin.frame import address, admin_page, choosing, paging, searching, sorting, working
from videovault.pages.admin.rescue import rescue_dialog
from videovault.pages.admin.video_table import video_table
from videovault.state import wording
from videovault.state.admin_videos import AdminVideosState

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
        rescue_dialog(),
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
        (state.working_on != "") | ~is_empty(state.outcomes),
        rx.el.section(
            rx.cond(
                state.working_on != "",
                rx.el.div(
                    working(state.working_on, state.so_far, state.stop),
                    rx.el.progress(value=state.percent, max=100, aria_label=state.working_on),
                    class_name="stack close",
                ),
                rx.el.div(
                    rx.el.strong(state.verdict, role="status"),
                    button(wording.CLOSE, look="plain", on_click=state.put_away),
                    class_name="row apart",
                ),
            ),
            rx.el.ul(
                rx.foreach(state.outcomes, _outcome),
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
    asked_about = AdminVideosState.asked_about
    return confirmation(
        f"{wording.to_delete(asked_about.summary)}?",
        rx.el.p(asked_about.titles),
        rx.el.p(sentence("They belong to {owners}.", owners=rx.el.strong(asked_about.owners))),
        rx.el.p(
            "They go for good, for their owners too: the videos, their pictures and their scripts.",
            class_name="soft",
        ),
        name="deletion",
        is_open=AdminVideosState.asking == "delete",
        is_busy=False,
        on_confirm=AdminVideosState.carry_out,
        on_dismiss=AdminVideosState.spare,
    )


def _retrying() -> rx.Component:
    return question(
        f"Try {AdminVideosState.asked_about.failed} again?",
        rx.el.p(
            "Those whose file was known go on from where they broke. The others are made anew and paid for again.",
            class_name="soft",
        ),
        name="retrying",
        is_open=AdminVideosState.asking == "retry",
        way_back=wording.NOT_NOW,
        way_on=button(wording.TRY_AGAIN, look="main", on_click=AdminVideosState.carry_out),
        on_dismiss=AdminVideosState.spare,
    )
