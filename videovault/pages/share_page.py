"""A shared video, for whoever has its link."""

import reflex as rx

from videovault.components.forms import link_button
from videovault.components.player import film, plays
from videovault.components.progress import late
from videovault.pages.layout import public_page
from videovault.state import wording
from videovault.state.share_page import SharePageState


def share_page() -> rx.Component:
    return public_page(
        rx.match(
            SharePageState.access,
            ("yes", _video()),
            (
                "no",
                _no_video(
                    wording.LINK_IS_DEAD,
                    "Check that it is complete, or ask whoever sent it to you for a new one.",
                ),
            ),
            (
                "limited",
                _no_video(
                    "Too many wrong links were opened from here",
                    "Wait an hour, then open the link that you were sent again.",
                ),
            ),
            (
                "later",
                _no_video(
                    "This video cannot be shown right now", "The link is fine. Try it again in a few minutes."
                ),
            ),
            rx.fragment(rx.el.div(class_name="skeleton film", aria_hidden="true"), late()),
        ),
        look="watch",
    )


def _video() -> rx.Component:
    video = SharePageState.video
    return rx.fragment(
        film(
            video.video_url,
            video.poster_url,
            video.title,
            lasts=SharePageState.link_seconds,
            limited=(video.playback_note != "") & ~video.is_copied,
        ),
        plays(video),
        rx.el.div(
            rx.el.div(
                rx.el.h1(video.title, tab_index=-1),
                rx.cond(video.details != "", rx.el.p(video.details, class_name="soft figures")),
            ),
            link_button(
                wording.DOWNLOAD,
                video.download_url,
                look="main",
                symbol="download",
                reload_document=True,
                aria_label=wording.to_download(video.title),
            ),
            class_name="watch-head",
        ),
    )


def _no_video(title: str, advice: str) -> rx.Component:
    return rx.el.div(
        rx.el.h1(title, tab_index=-1), rx.el.p(advice, class_name="soft"), class_name="empty bare"
    )
