"""All that a person has made: find it, play it, download it, share it, see how far it is, or delete it."""

from typing import Any

import reflex as rx

from videovault.components.create_modal import another_button, create_modal
from videovault.components.dialog import delete_dialog, dialog
from videovault.components.forms import button, download_button, link_button
from videovault.components.icons import icon
from videovault.components.import_dialog import import_dialog
from videovault.components.player import player
from videovault.components.progress import late
from videovault.components.share_dialog import share_button, share_dialog
from videovault.components.video_card import card_part, card_skeleton, more, selection
from videovault.pages.layout import app_page, page_head
from videovault.state import wording
from videovault.state.gallery import PARTS, GalleryState
from videovault.state.import_dialog import ImportDialogState
from videovault.state.view_models import Card

# What of the gallery is shown, kept in the address: the counts as filters, the search and the order.

SORTS = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "title": "By title",
    "size": "Largest first",
    "longest": "Longest first",
}
LIBRARY = "$/public/js/view.js"


class ViewLink(rx.Component):
    """Leads to the same view with one part of it changed, an empty ``value`` for without."""

    library = LIBRARY
    tag = "ViewLink"
    part: rx.Var[str]
    value: rx.Var[str]


class ViewSearch(rx.Component):
    library = LIBRARY
    tag = "ViewSearch"


class ViewSort(rx.Component):
    """Its first option is the usual one."""

    library = LIBRARY
    tag = "ViewSort"


class ViewAnswer(rx.Component):
    """Busy while the address asks for something else than what ``answers`` says that its content is."""

    library = LIBRARY
    tag = "ViewAnswer"
    answers: rx.Var[str]


def toolbar() -> rx.Component:
    return rx.el.div(
        _filters(),
        rx.el.div(_search(), _sort(), class_name="finder"),
        rx.el.p(GalleryState.found, class_name="unseen", role="status"),
        class_name="toolbar",
    )


def clear_search() -> rx.Component:
    return ViewLink.create("Clear the search", part="q", value="", class_name="button")


def answer(*children: Any) -> rx.Component:
    return ViewAnswer.create(*children, answers=GalleryState.view, class_name="answer")


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
    known = rx.cond(GalleryState.is_loaded, count, "")
    return ViewLink.create(text, rx.el.span(known, class_name="figures"), part="status", value=status)


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
        *(rx.el.option(text, value=sort) for sort, text in SORTS.items()),
        class_name="input",
        custom_attrs={"aria-label": "Order"},
    )


SKELETONS = 8


def gallery() -> rx.Component:
    return app_page(
        page_head(wording.GALLERY, None, rx.el.div(_add(), _new(), class_name="row")),
        toolbar(),
        answer(
            rx.cond(
                GalleryState.is_broken,
                _broken(),
                rx.cond(
                    GalleryState.is_loaded,
                    rx.cond(GalleryState.length == 0, _empty(), _cards()),
                    _loading(),
                ),
            )
        ),
        _player(),
        delete_dialog(),
        import_dialog(),
        share_dialog(),
        create_modal(),
        active="/gallery",
    )


def _new() -> rx.Component:
    return link_button(wording.NEW_VIDEO, "/create", look="main", symbol="new")


def _add() -> rx.Component:
    return button(wording.IMPORT_FROM_LINK, symbol="link", on_click=ImportDialogState.open, data_waits="true")


def _cards() -> rx.Component:
    return selection(
        rx.el.ul(
            rx.foreach(_parts(), lambda cards: card_part(cards=cards)),
            class_name="cards",
        ),
        more(),
    )


def _parts() -> rx.Var[list[list[Card]]]:
    return rx.Var.create([getattr(GalleryState, name) for name in PARTS]).to(list[list[Card]])


def _loading() -> rx.Component:
    """Of the same measures as what comes; once it takes long, it says what to do."""
    return rx.el.div(
        rx.el.div(*(card_skeleton() for _ in range(SKELETONS)), class_name="cards", aria_hidden="true"),
        late(),
        class_name="loading",
    )


def _broken() -> rx.Component:
    return rx.el.div(
        rx.el.h2("Your videos could not be loaded"),
        rx.el.p("They are safe. Try again in a moment.", class_name="soft"),
        button(wording.TRY_AGAIN, look="main", on_click=GalleryState.load),
        class_name="empty",
        role="alert",
    )


def _empty() -> rx.Component:
    return rx.el.div(
        rx.cond(GalleryState.text != "", _nothing_found(), _nothing_here()),
        class_name="empty",
    )


def _nothing_found() -> rx.Component:
    return rx.fragment(
        rx.el.h2(f"Nothing found for “{GalleryState.text}”"),
        rx.el.p("Titles and company names are searched.", class_name="soft"),
        clear_search(),
    )


def _nothing_here() -> rx.Component:
    return rx.match(
        GalleryState.shown,
        ("", _nothing_yet()),
        ("failed", rx.el.p("Nothing has failed or been cancelled.")),
        ("processing", rx.el.p("Nothing is being made right now.")),
        ("draft", rx.el.p("No drafts. A script waits here until its video is made.")),
        rx.el.p("No videos are ready yet."),
    )


def _nothing_yet() -> rx.Component:
    return rx.fragment(
        rx.el.div(class_name="drawing film", aria_hidden="true"),
        rx.el.h2("Your videos will be here"),
        rx.el.p(
            "Make the first one: a sentence about its topic is enough. Or add one that you have.",
            class_name="soft",
        ),
        rx.el.div(_add(), _new(), class_name="row"),
    )


def _player() -> rx.Component:
    video = GalleryState.playing
    return dialog(
        video.title,
        player(video, lasts=GalleryState.link_seconds, **{"data-focus": "true"}),
        rx.el.div(
            rx.el.span(video.details, class_name="soft figures first"),
            another_button(video, GalleryState.stop),
            share_button(video.video_id),
            download_button(video.video_id, video.title, look="main"),
            class_name="actions",
        ),
        name="player",
        is_open=video.video_id != "",
        on_dismiss=GalleryState.stop,
        look="wide-dialog",
    )
