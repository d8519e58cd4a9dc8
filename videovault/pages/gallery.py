"""The gallery: find, play, download, share, rename and delete videos, and follow those in progress."""

from typing import Any

import reflex as rx

from videovault.components.create_modal import create_modal, create_similar_button
from videovault.components.elements import (
    button,
    download_button,
    field,
    icon,
    link_button,
    options,
    text_input,
)
from videovault.components.overlays import UrlDialogTexts, confirmation, deletion_warning, dialog, url_dialog
from videovault.components.player import player
from videovault.components.progress import slow_notice
from videovault.components.sharing import share_button, share_dialog
from videovault.components.video_card import card_chunk, card_skeleton, more, selection
from videovault.pages.layout import app_page, page_head
from videovault.state import wording
from videovault.state.delete_dialog import DeleteDialogState
from videovault.state.gallery import PARTS, GalleryState
from videovault.state.import_dialog import ImportDialogState
from videovault.state.view_models import Card

SORTS = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "title": "By title",
    "size": "Largest first",
    "longest": "Longest first",
}
LIBRARY = "$/public/js/gallery_view.js"
SKELETONS = 8


class ViewLink(rx.Component):
    """Links to the current view with one query parameter changed; an empty ``value`` removes it."""

    library = LIBRARY
    tag = "ViewLink"
    part: rx.Var[str]
    value: rx.Var[str]


class ViewSearch(rx.Component):
    library = LIBRARY
    tag = "ViewSearch"


class ViewSort(rx.Component):
    """The first option is the default, which the address does not name."""

    library = LIBRARY
    tag = "ViewSort"


class ViewResults(rx.Component):
    """Marks its content as busy while the address asks for another view than ``view``, which is shown."""

    library = LIBRARY
    tag = "ViewResults"
    view: rx.Var[str]


def gallery() -> rx.Component:
    return app_page(
        page_head(wording.GALLERY, None, rx.el.div(_import_button(), _create_button(), class_name="row")),
        _toolbar(),
        ViewResults.create(
            rx.cond(
                GalleryState.is_broken,
                _load_error(),
                rx.cond(
                    GalleryState.is_loaded,
                    rx.cond(GalleryState.length == 0, _empty(), _card_list()),
                    _loading(),
                ),
            ),
            view=GalleryState.view,
            class_name="answer",
        ),
        _player(),
        _delete_dialog(),
        _import_dialog(),
        share_dialog(),
        create_modal(),
        active="/gallery",
    )


def _toolbar() -> rx.Component:
    return rx.el.div(
        _filters(),
        rx.el.div(_search(), _sort(), class_name="finder"),
        rx.el.p(GalleryState.found, class_name="unseen", role="status"),
        class_name="toolbar",
    )


def _filters() -> rx.Component:
    counts = GalleryState.counts
    return rx.el.nav(
        _filter("All", "", counts.everything),
        _filter(wording.READY, "ready", counts.ready),
        _filter(wording.PROCESSING, "processing", counts.processing),
        _filter(wording.FAILED, "failed", counts.failed),
        _filter("Drafts", "draft", counts.drafts),
        class_name="filters",
        aria_label=wording.SHOW,
    )


def _filter(text: str, status: str, count: Any) -> rx.Component:
    shown_count = rx.cond(GalleryState.is_loaded, count, "")
    return ViewLink.create(text, rx.el.span(shown_count, class_name="figures"), part="status", value=status)


def _search() -> rx.Component:
    return rx.el.div(
        icon("search", 18),
        ViewSearch.create(
            class_name="input",
            custom_attrs={
                "aria-label": "Search titles and companies",
                "placeholder": wording.SEARCH,
                "maxLength": 200,
                "autoComplete": "off",
                "dir": "auto",
            },
        ),
        class_name="search",
        role="search",
    )


def _sort() -> rx.Component:
    return ViewSort.create(
        *options(SORTS),
        class_name="input",
        custom_attrs={"aria-label": "Sort order"},
    )


def _create_button() -> rx.Component:
    return link_button(wording.NEW_VIDEO, "/create", variant="main", symbol="new")


def _import_button() -> rx.Component:
    return button(wording.IMPORT_FROM_LINK, symbol="link", on_click=ImportDialogState.open, data_waits="true")


def _card_list() -> rx.Component:
    chunks = rx.Var.create([getattr(GalleryState, name) for name in PARTS]).to(list[list[Card]])
    return selection(
        rx.el.ul(rx.foreach(chunks, lambda cards: card_chunk(cards=cards)), class_name="cards"),
        more(),
    )


def _loading() -> rx.Component:
    """Placeholders in the size of the cards; after some seconds, a hint to reload."""
    return rx.el.div(
        rx.el.div(*(card_skeleton() for _ in range(SKELETONS)), class_name="cards", aria_hidden="true"),
        slow_notice(),
        class_name="loading",
    )


def _load_error() -> rx.Component:
    return rx.el.div(
        rx.el.h2("Your videos could not be loaded"),
        rx.el.p("They are safe. Please try again in a moment.", class_name="soft"),
        button(wording.TRY_AGAIN, variant="main", on_click=GalleryState.load),
        class_name="empty",
        role="alert",
    )


def _empty() -> rx.Component:
    return rx.el.div(rx.cond(GalleryState.text != "", _no_results(), _no_videos()), class_name="empty")


def _no_results() -> rx.Component:
    return rx.fragment(
        rx.el.h2(f"No results for “{GalleryState.text}”"),
        rx.el.p("The search covers titles and company names.", class_name="soft"),
        ViewLink.create("Clear search", part="q", value="", class_name="button"),
    )


def _no_videos() -> rx.Component:
    return rx.match(
        GalleryState.shown,
        ("", _first_steps()),
        ("failed", rx.el.p("No failed or cancelled videos.")),
        ("processing", rx.el.p("No videos in progress.")),
        ("draft", rx.el.p("No drafts. A script stays here until you create its video.")),
        rx.el.p("No finished videos yet."),
    )


def _first_steps() -> rx.Component:
    return rx.fragment(
        rx.el.div(class_name="drawing film", aria_hidden="true"),
        rx.el.h2("Your videos will appear here"),
        rx.el.p(
            "Create your first one: a sentence about its topic is enough. Or import one you already have.",
            class_name="soft",
        ),
        rx.el.div(_import_button(), _create_button(), class_name="row"),
    )


def _player() -> rx.Component:
    video = GalleryState.playing
    return dialog(
        video.title,
        player(video, link_seconds=GalleryState.link_seconds, **{"data-focus": "true"}),
        rx.el.div(
            rx.el.span(video.details, class_name="soft figures first"),
            create_similar_button(video, GalleryState.stop),
            share_button(video.video_id),
            download_button(video.video_id, video.title, variant="main"),
            class_name="actions",
        ),
        name="player",
        is_open=video.video_id != "",
        on_dismiss=GalleryState.stop,
        variant="wide-dialog",
    )


def _delete_dialog() -> rx.Component:
    """Names the videos before they are deleted, and shows the progress."""
    return confirmation(
        DeleteDialogState.question,
        rx.el.p(rx.el.strong(DeleteDialogState.what)),
        rx.el.p(
            rx.cond(
                DeleteDialogState.progress != "",
                f"Deleting {DeleteDialogState.progress}",
                deletion_warning(DeleteDialogState.count),
            ),
            class_name="soft figures",
            role="status",
        ),
        name="removal",
        is_open=DeleteDialogState.question != "",
        is_busy=DeleteDialogState.is_busy,
        on_confirm=DeleteDialogState.delete,
        on_dismiss=DeleteDialogState.cancel,
    )


def _import_dialog() -> rx.Component:
    return url_dialog(
        wording.IMPORT_FROM_LINK,
        field(
            "title",
            wording.TITLE,
            text_input("title", placeholder="Uses the file name if empty"),
            note=wording.OPTIONAL,
        ),
        name="adding",
        texts=UrlDialogTexts(
            label=wording.VIDEO_URL,
            hint="A direct link to the file, for example one ending in .mp4. It is downloaded by the server, not by your device.",
            submit="Import",
        ),
        state=ImportDialogState,
        is_open=ImportDialogState.is_open,
        on_submit=ImportDialogState.add,
    )
