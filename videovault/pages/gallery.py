"""All that a person has made: play it, download it, see how far it is, or delete it."""

from typing import Any

import reflex as rx

from videovault.components.buttons import button, download_button, link_button
from videovault.components.dialog import confirmation, dialog
from videovault.components.generation_modal import generation_modal
from videovault.components.share_dialog import share_dialog
from videovault.components.vars import is_empty
from videovault.components.video_card import player, video_card
from videovault.pages.layout import app_page, page_head
from videovault.state.gallery import GalleryState
from videovault.state.sharing import SharingState


def gallery() -> rx.Component:
    return app_page(
        page_head("Gallery", None, link_button("New video", "/create", look="main", symbol="new")),
        _filters(),
        rx.cond(
            GalleryState.is_loaded, rx.cond(is_empty(GalleryState.cards), _empty(), _cards()), _loading()
        ),
        _player(),
        _deletion(),
        share_dialog(),
        generation_modal(),
        active="/gallery",
    )


def _filters() -> rx.Component:
    counts = GalleryState.counts
    return rx.el.div(
        _filter("All", "", counts.everything),
        _filter("Ready", "ready", counts.ready),
        _filter("Processing", "processing", counts.processing),
        _filter("Failed", "failed", counts.failed),
        _filter("Drafts", "draft"),
        class_name="filters",
        role="group",
        aria_label="Show",
    )


def _filter(text: str, status: str, count: Any = "") -> rx.Component:
    return rx.el.button(
        text,
        rx.el.span(count, class_name="figures"),
        type="button",
        aria_pressed=GalleryState.shown == status,
        on_click=GalleryState.show(status),
    )


def _cards() -> rx.Component:
    return rx.fragment(
        rx.el.ul(rx.foreach(GalleryState.cards, video_card), class_name="cards"),
        rx.cond(
            GalleryState.has_more,
            rx.el.div(button("Show more", on_click=GalleryState.more), class_name="more"),
        ),
    )


def _loading() -> rx.Component:
    return rx.el.div(
        *(rx.el.div(class_name="skeleton tall") for _ in range(3)),
        class_name="cards",
        aria_hidden="true",
    )


def _empty() -> rx.Component:
    return rx.el.div(
        rx.match(
            GalleryState.shown,
            ("", _nothing_yet()),
            ("failed", rx.el.p("Nothing has failed.")),
            ("processing", rx.el.p("Nothing is in work.")),
            ("draft", rx.el.p("No drafts. A script that you close before its video is made waits here.")),
            rx.el.p("No videos are ready yet."),
        ),
        class_name="empty",
    )


def _nothing_yet() -> rx.Component:
    return rx.fragment(
        rx.el.h2("Your videos will be here"),
        rx.el.p("Make the first one: a sentence about its topic is enough.", class_name="soft"),
        link_button("New video", "/create", look="main", symbol="new"),
    )


def _player() -> rx.Component:
    video = GalleryState.playing
    return dialog(
        video.title,
        player(video),
        rx.el.div(
            rx.el.span(video.details, class_name="soft figures first"),
            button("Share", symbol="share", on_click=SharingState.open(video.video_id)),
            download_button(video.video_id, video.title, look="main"),
            class_name="actions",
        ),
        name="player",
        is_open=video.video_id != "",
        on_dismiss=GalleryState.stop,
        look="wide-dialog",
    )


def _deletion() -> rx.Component:
    doomed = GalleryState.doomed
    return confirmation(
        "Delete this video?",
        rx.el.p(rx.el.strong(doomed.title), rx.cond(doomed.details != "", f", {doomed.details}", "")),
        rx.el.p("The video, its picture and its script go for good.", class_name="soft"),
        name="deletion",
        is_open=doomed.video_id != "",
        is_busy=GalleryState.is_deleting,
        on_confirm=GalleryState.delete,
        on_dismiss=GalleryState.spare,
    )
