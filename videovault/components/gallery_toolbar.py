"""What of the gallery is shown, kept in the address: the counts as filters, the search and the order."""

from typing import Any

import reflex as rx

from videovault.components.icons import icon
from videovault.state import wording
from videovault.state.gallery import GalleryState

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
