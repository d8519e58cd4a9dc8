"""All that a person has made: find it, play it, download it, share it, see how far it is, or delete it."""

import reflex as rx

from videovault.components.create_modal import another_button, generation_modal
from videovault.components.dialog import dialog, removal_dialog
from videovault.components.forms import button, download_button, link_button
from videovault.components.gallery_toolbar import answer, clear_search, toolbar
from videovault.components.import_dialog import adding_dialog
from videovault.components.player import player
from videovault.components.share_dialog import share_button, share_dialog
from videovault.components.video_card import card_part, card_skeleton, more, selection
from videovault.components.wait import late
from videovault.pages.layout import app_page, page_head
from videovault.state import wording
from videovault.state.gallery import PARTS, GalleryState
from videovault.state.import_dialog import AddingState
from videovault.state.view_models import Card

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
        removal_dialog(),
        adding_dialog(),
        share_dialog(),
        generation_modal(),
        active="/gallery",
    )


def _new() -> rx.Component:
    return link_button(wording.NEW_VIDEO, "/create", look="main", symbol="new")


def _add() -> rx.Component:
    return button(wording.ADD_FROM_LINK, symbol="link", on_click=AddingState.open, data_waits="true")


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
