"""Everybody's accounts: what they hold, and who may do what."""

from typing import Any

import reflex as rx

from videovault.components.buttons import button
from videovault.components.progress import bar
from videovault.components.vars import is_empty, local_time
from videovault.pages.admin.frame import WHEN, address, admin_page, paging, searching, sorting
from videovault.pages.admin.person import invitation_dialog, person_dialog
from videovault.state import wording
from videovault.state.admin_people import AdminPeopleState

COLUMNS = {"created": "Joined", "email": wording.EMAIL, "seen": "Last seen", "storage": wording.STORAGE}


def people() -> rx.Component:
    return admin_page(
        "/admin/people",
        rx.el.div(
            searching(
                "search",
                wording.SEARCH,
                AdminPeopleState.q,
                AdminPeopleState.search.debounce(250),
                wording.NAME_OR_EMAIL,
            ),
            sorting(AdminPeopleState, COLUMNS),
            class_name="tools",
            role="search",
        ),
        rx.cond(
            is_empty(AdminPeopleState.people),
            rx.cond(
                AdminPeopleState.is_loaded,
                rx.el.p("Nobody is found by this.", class_name="empty below-tools"),
            ),
            rx.el.ul(
                rx.foreach(AdminPeopleState.people, _person),
                class_name="panel people below-tools",
                aria_label=wording.PEOPLE,
            ),
        ),
        paging(AdminPeopleState, "Pages of people"),
        person_dialog(),
        invitation_dialog(),
        address(query=AdminPeopleState.address),
        text=AdminPeopleState.total,
        actions=[
            rx.cond(
                AdminPeopleState.invites,
                button("Invite", look="main", symbol="new", on_click=AdminPeopleState.begin_invitation),
            )
        ],
    )


def _person(person: Any) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.div(
                rx.el.strong(person.email),
                rx.cond(person.name != "", rx.el.span(person.name, class_name="small")),
                rx.cond(person.is_admin, rx.el.span(wording.ADMIN, class_name="badge good")),
                rx.cond(person.is_active, rx.fragment(), rx.el.span("Deactivated", class_name="badge bad")),
                class_name="badged",
            ),
            rx.el.span(
                rx.cond(
                    person.seen_at != "",
                    f"Last seen {local_time(person.seen_at, WHEN)}",
                    "Never signed in",
                ),
                class_name="soft small",
            ),
            class_name="line-text",
        ),
        rx.el.div(
            rx.el.span(
                rx.el.a(
                    person.videos,
                    href=f"/admin?owner={person.user_id}",
                    aria_label=f"{person.videos} of {person.email}",
                ),
                rx.el.span(person.storage, class_name="soft"),
                class_name="row apart small figures",
            ),
            rx.cond(person.percent >= 0, bar(person.percent, f"Storage of {person.email}")),
            class_name="stack storage",
        ),
        button(
            "Manage",
            on_click=AdminPeopleState.open(person.user_id),
            aria_label=f"Manage {person.email}",
        ),
        key=person.user_id,
    )
