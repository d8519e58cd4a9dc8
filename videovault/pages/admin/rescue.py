"""The dialog that gives a stuck video the address of its finished file."""

import reflex as rx

from videovault.components.address_dialog import Wording, address_dialog
from videovault.state.admin_rescue import AdminRescueState


def rescue_dialog() -> rx.Component:
    stuck = AdminRescueState.stuck
    return address_dialog(
        rx.fragment("Address of “", stuck.title, "”"),
        name="rescue",
        says=Wording(
            text="If the generator has finished the video but its report never came, paste the address of the file.",
            label="Address of the file",
            hint="It is stored for its owner; nothing is rendered or paid for again.",
            way_back="Not now",
            way_on="Store it",
            waiting="Checking…",
        ),
        state=AdminRescueState,
        is_open=stuck.video_id != "",
        on_submit=AdminRescueState.give,
    )
