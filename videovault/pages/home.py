"""The welcome page: what this is, in one screen."""

import reflex as rx

from videovault.components.forms import link_button
from videovault.components.icons import icon
from videovault.pages.layout import public_page
from videovault.state import wording

WAYS = (
    (
        "script",
        "Say what it is about",
        "A topic is enough. You get a hook, a body and a conclusion, and change what you like.",
    ),
    (
        "play",
        "Watch it being made",
        "See how far it is at any time. Close the tab; the work goes on without you.",
    ),
    (
        "vault",
        "Have it for good",
        "Every video is kept in your own storage. Play it, download it, or send somebody a link to it.",
    ),
)


def home() -> rx.Component:
    return public_page(
        rx.el.section(_welcome(), _sample(), class_name="hero"),
        rx.el.ol(*(_way(*way) for way in WAYS), class_name="ways"),
    )


def _way(symbol: str, title: str, text: str) -> rx.Component:
    return rx.el.li(icon(symbol, 24), rx.el.h2(title), rx.el.p(text, class_name="soft"))


def _welcome() -> rx.Component:
    return rx.el.div(
        rx.el.h1("Short avatar videos, made from a sentence and kept safe", tab_index=-1),
        rx.el.p(
            "VideoVault writes the script, has the video made, and keeps it private until you share it.",
            class_name="soft",
        ),
        rx.el.div(
            link_button(wording.CREATE_ACCOUNT, "/register", look="main"),
            link_button(wording.SIGN_IN, "/login"),
            class_name="row",
        ),
        class_name="stack",
    )


def _sample() -> rx.Component:
    """A finished video as the gallery shows it, made with VideoVault's own studio."""
    return rx.el.figure(
        rx.el.div(
            rx.el.img(
                src="/sample.webp",
                alt="A presenter beside the words she says.",
                custom_attrs={"width": "640", "height": "360"},
            ),
            rx.el.span("0:20", class_name="duration figures"),
            class_name="picture",
        ),
        rx.el.figcaption(
            rx.el.span(wording.EXAMPLE_TOPIC), rx.el.span(wording.READY, class_name="status ready")
        ),
        class_name="card sample",
    )
