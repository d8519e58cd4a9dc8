"""The dialog that gives a stuck video the address of its finished file."""

import reflex as rx

from videovault.components.address_dialog import Wording, address_dialog
from videovault.state import wording
from videovault.state.admin_rescue import AdminRescueState


def rescue_dialog() -> rx.Component:
    stuck = AdminRescueState.stuck
    return address_dialog(
        f"Store the file of “{stuck.title}”",
        name="rescue",
        says=Wording(
            text="For a video that the generator finished without telling us.",
            label="Address of the file",
            hint="It is stored for its owner, and nothing is paid for again.",
            way_back=wording.NOT_NOW,
            way_on="Store it",
            waiting=wording.CHECKING,
        ),
        state=AdminRescueState,
        is_open=stuck.video_id != "",
        on_submit=AdminRescueState.give,
    )
