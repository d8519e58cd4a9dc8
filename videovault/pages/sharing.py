"""A shared video, for anyone with its link."""

import reflex as rx

from videovault.components.elements import link_button
from videovault.components.player import playback_note, video_player
from videovault.components.progress import slow_notice
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
                    "Check that the link is complete, or ask the person who sent it for a new one.",
                ),
            ),
            (
                "limited",
                _no_video(
                    "Too many wrong links were opened from your network",
                    "Wait an hour, then open your link again.",
                ),
            ),
            (
                "later",
                _no_video(
                    "This video cannot be shown right now", "Your link is valid. Try again in a few minutes."
                ),
            ),
            rx.fragment(rx.el.div(class_name="skeleton film", aria_hidden="true"), slow_notice()),
        ),
        variant="watch",
    )


def _video() -> rx.Component:
    video = SharePageState.video
    return rx.fragment(
        video_player(
            video.video_url,
            video.poster_url,
            video.title,
            link_seconds=SharePageState.link_seconds,
            limited=(video.playback_note != "") & ~video.is_copied,
        ),
        playback_note(video),
        rx.el.div(
            rx.el.div(
                rx.el.h1(video.title, tab_index=-1),
                rx.cond(video.details != "", rx.el.p(video.details, class_name="soft figures")),
            ),
            link_button(
                wording.DOWNLOAD,
                video.download_url,
                variant="main",
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
