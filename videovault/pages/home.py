"""The home page: what VideoVault does, on one screen."""

import reflex as rx

from videovault.components.elements import icon, link_button
from videovault.pages.layout import public_page
from videovault.state import wording

STEPS = (
    (
        "script",
        "Describe your topic",
        "A sentence is enough. You get a hook, a body and a conclusion, and can edit each of them.",
    ),
    (
        "play",
        "Follow the progress",
        "Check on your video at any time. You can close the tab; the work continues.",
    ),
    (
        "vault",
        "Keep every video",
        "Every video stays in your own storage. Play it, download it or share it with a link.",
    ),
)


def home() -> rx.Component:
    return public_page(
        rx.el.section(_welcome(), _sample(), class_name="hero"),
        rx.el.ol(*(_step(*step) for step in STEPS), class_name="ways"),
    )


def _step(symbol: str, title: str, text: str) -> rx.Component:
    return rx.el.li(icon(symbol, 24), rx.el.h2(title), rx.el.p(text, class_name="soft"))


def _welcome() -> rx.Component:
    return rx.el.div(
        rx.el.h1("Short avatar videos, made from a sentence and kept safe", tab_index=-1),
        rx.el.p(
            "VideoVault writes the script, gets the video made and keeps it private until you share it.",
            class_name="soft",
        ),
        rx.el.div(
            link_button(wording.CREATE_ACCOUNT, "/register", variant="main"),
            link_button(wording.SIGN_IN, "/login"),
            class_name="row",
        ),
        class_name="stack",
    )


def _sample() -> rx.Component:
    """A finished video as the gallery shows it, made with the built-in studio."""
    return rx.el.figure(
        rx.el.div(
            rx.el.img(
                src="/sample.webp",
                alt="A presenter next to the words she is saying.",
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
