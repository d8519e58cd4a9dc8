"""A video's card in the gallery with its actions, and selecting several cards."""

from typing import Any

import reflex as rx

from videovault.components.elements import DATE, button, download_button, icon, icon_button, local_time
from videovault.components.progress import small_progress
from videovault.state import wording
from videovault.state.create import CreateState
from videovault.state.delete_dialog import DeleteDialogState
from videovault.state.gallery import GalleryState
from videovault.state.share_dialog import ShareDialogState
from videovault.state.view_models import Card

DRAWINGS = {"processing": "film", "draft": "script", "failed": "torn"}


class Selection(rx.Component):
    """Lets users select the cards inside it; a bar shows the actions for the selected ones."""

    library = "$/public/js/selection.js"
    tag = "Selection"
    texts: rx.Var[dict[str, str]]
    on_delete: rx.EventHandler[rx.event.passthrough_event_spec(list[str])]  # type: ignore[type-arg,valid-type] # Reflex's spelling


class LoadMore(rx.Component):
    """Clicks the button inside it when scrolling brings it near."""

    library = "$/public/js/load_more.js"
    tag = "LoadMore"
    shown: rx.Var[int]


class EditableTitle(rx.Component):
    """A title that can be edited in place; ``answers`` counts the server's answers, ``error`` is in the last one."""

    library = "$/public/js/editable_title.js"
    tag = "EditableTitle"
    name: rx.Var[str]
    text: rx.Var[str]
    action: rx.Var[str]
    error: rx.Var[str]
    answers: rx.Var[int]
    on_save: rx.EventHandler[rx.event.passthrough_event_spec(str)]  # type: ignore[type-arg,valid-type] # Reflex's spelling


@rx.memo
def video_card(card: rx.Var[Card]) -> rx.Component:
    """A memo component: rendered again only when this card changes."""
    shown: Any = card
    return rx.el.li(
        rx.el.div(_picture(shown), _checkbox(shown), class_name="frame"),
        _text(shown),
        rx.el.div(_actions(shown), class_name="card-foot"),
        class_name="card",
        aria_labelledby=f"title-{shown.video_id}",
        data_status=shown.status,
    )


@rx.memo
def card_chunk(cards: rx.Var[list[Card]]) -> rx.Component:
    """Some of the cards; compared again only when one of these changes."""
    return rx.fragment(rx.foreach(cards, lambda card: rx.fragment(video_card(card=card), key=card.video_id)))


def card_skeleton() -> rx.Component:
    """A placeholder in the size of a card."""
    return rx.el.div(
        rx.el.div(class_name="picture skeleton"),
        rx.el.div(
            rx.el.span(class_name="skeleton line"),
            rx.el.span(class_name="skeleton line short"),
            class_name="card-text",
        ),
        rx.el.div(rx.el.span(class_name="skeleton line"), class_name="card-foot"),
        class_name="card",
    )


def selection(*children: Any) -> rx.Component:
    return Selection.create(*children, texts=wording.SELECTION, on_delete=DeleteDialogState.ask)


def more() -> rx.Component:
    return rx.cond(
        GalleryState.has_more,
        LoadMore.create(
            button("Show more", on_click=GalleryState.more), shown=GalleryState.length, class_name="more"
        ),
    )


def _checkbox(card: Any) -> rx.Component:
    return rx.el.label(
        rx.el.input(
            type="checkbox",
            aria_label=wording.to_select(card.title),
            custom_attrs={
                "data-video": card.video_id,
                "data-bytes": card.bytes,
                "data-ready": rx.cond(card.status == "ready", "true", rx.Var("undefined")),
            },
        ),
        class_name="pick",
    )


def _poster(card: Any) -> rx.Component:
    return rx.el.img(
        src=f"/api/auth/video/{card.video_id}/thumbnail",
        alt="",
        loading="lazy",
        custom_attrs={"decoding": "async", "width": "640", "height": "360"},
    )


def _picture(card: Any) -> rx.Component:
    return rx.match(
        card.status,
        ("ready", _ready_picture(card)),
        ("processing", _drawing("processing", small_progress(video_id=card.video_id))),
        ("draft", _drawing("draft", rx.el.span(wording.DRAFT))),
        _drawing("failed", rx.el.span(rx.cond(card.is_cancelled, wording.CANCELLED, wording.FAILED))),
    )


def _drawing(status: str, caption: rx.Component) -> rx.Component:
    """Shown instead of a poster."""
    return rx.el.div(
        rx.el.div(class_name=f"drawing {DRAWINGS[status]}", aria_hidden="true"),
        caption,
        class_name="picture drawn",
    )


def _ready_picture(card: Any) -> rx.Component:
    """The duration is over the button, not in it: there it would be a visible label that is not its name."""
    return rx.fragment(
        rx.el.button(
            rx.cond(card.has_poster, _poster(card)),
            rx.el.span(icon("play", 24), class_name="play"),
            type="button",
            class_name="picture",
            aria_label=f"Play {card.title}",
            on_click=GalleryState.play(card.video_id),
            data_waits="true",
        ),
        rx.cond(card.duration != "", rx.el.span(card.duration, class_name="duration figures")),
    )


def _text(card: Any) -> rx.Component:
    return rx.el.div(
        EditableTitle.create(
            icon("rename", 18),
            name=f"title-{card.video_id}",
            text=card.title,
            action=f"Rename {card.title}",
            error=card.result,
            answers=card.result_number,
            on_save=lambda title: GalleryState.rename(card.video_id, title),
        ),
        rx.el.p(
            local_time(card.created_at, DATE),
            rx.cond(card.size != "", f", {card.size}", ""),
            class_name="soft small figures",
        ),
        rx.cond(card.playback_note != "", rx.el.p(card.playback_note, class_name="soft small plays")),
        rx.cond(
            card.status == "failed",
            rx.fragment(
                rx.el.p(card.reason, class_name=rx.cond(card.is_cancelled, "small", "error")),
                rx.el.p(card.retry_note, class_name="soft small"),
            ),
        ),
        class_name="card-text",
    )


def _actions(card: Any) -> rx.Component:
    return rx.fragment(
        rx.match(
            card.status,
            ("ready", _ready_actions(card)),
            ("processing", _opener(card, wording.OPEN)),
            ("draft", _opener(card, "Continue")),
            rx.fragment(retry_button(card, GalleryState.retry(card.video_id)), _opener(card, wording.OPEN)),
        ),
        rx.el.span(class_name="push"),
        rx.cond(
            card.status == "ready",
            icon_button(
                f"Share {card.title}",
                "share",
                on_click=ShareDialogState.open(card.video_id),
                data_waits="true",
            ),
        ),
        icon_button(
            wording.to_delete(card.title),
            "delete",
            on_click=DeleteDialogState.ask([card.video_id]),
            data_waits="true",
        ),
    )


def _ready_actions(card: Any) -> rx.Component:
    return rx.fragment(
        download_button(card.video_id, card.title, variant="plain"),
        rx.cond(card.can_copy, _retry_button(card, wording.COPY_AGAIN, GalleryState.retry(card.video_id))),
    )


def retry_button(card: Any, on_click: Any) -> rx.Component:
    """The cheapest way to retry a failed video; nothing if there is none."""
    return rx.cond(
        card.can_fetch,
        _retry_button(card, wording.RETRY, on_click),
        rx.cond(card.can_generate, _retry_button(card, wording.GENERATE_AGAIN, on_click)),
    )


def _retry_button(card: Any, text: str, on_click: Any) -> rx.Component:
    return button(
        text,
        variant="plain",
        on_click=on_click,
        aria_label=wording.to_do(text, card.title),
        title=card.retry_note,
        data_waits="true",
    )


def _opener(card: Any, text: str) -> rx.Component:
    return button(
        text,
        variant="plain",
        on_click=CreateState.open(card.video_id),
        aria_label=f"{text} {card.title}",
        data_waits="true",
    )
