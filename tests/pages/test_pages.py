"""The component trees of all pages, without a browser."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from reflex_base.components.memo import MemoComponent

from videovault.pages import PAGES, Page
from videovault.state.account import AccountState
from videovault.state.create import CreateState
from videovault.state.gallery import GalleryState
from videovault.state.live_updates import ProgressState
from videovault.state.session import AdminState

ROUTES = [page.route for page in PAGES]
ADMIN = ["/admin", "/admin/people", "/admin/avatars", "/admin/activity", "/admin/system"]
SIGNED_IN_ONLY = {"/create", "/gallery", "/account", *ADMIN}


@pytest.fixture(params=PAGES, ids=ROUTES)
def page(request: pytest.FixtureRequest) -> Page:
    page: Page = request.param
    return page


@cache
def tree_of(component: Callable[[], Any]) -> Any:
    """The component tree of a page, built once: no test changes it."""
    return component()


def parts(component: Any) -> Iterator[Any]:
    """The component and its descendants, in every branch."""
    yield component
    if isinstance(component, MemoComponent) and component._memo_definition:
        yield from parts(component._memo_definition.component)
    for child in component.children:
        yield from parts(child)


def tags(page: Page, tag: str) -> list[Any]:
    return [part for part in parts(tree_of(page.component)) if getattr(part, "tag", None) == tag]


def texts(page: Page) -> list[str]:
    return re.findall(r'"((?:[^"\\]|\\.)*)"', str(tree_of(page.component)))


def test_routes() -> None:
    public = ["/", "/login", "/register", "/forgot", "/reset"]
    assert [
        *public,
        "/create",
        "/gallery",
        "/account",
        "/share/[video_id]",
        *ADMIN,
        "/problem",
        "404",
    ] == ROUTES


def test_pages_for_signed_in_users_check_the_session() -> None:
    for found in PAGES:
        guarded = [
            issubclass(event.state, (CreateState, GalleryState, AccountState, AdminState))
            for event in found.on_load
        ]
        assert any(guarded) == (found.route in SIGNED_IN_ONLY), found.route


def test_page_has_a_heading_and_one_main(page: Page) -> None:
    assert tags(page, "h1")
    assert len(tags(page, "main")) == 1


def test_title_is_unique(page: Page) -> None:
    assert [other.name for other in PAGES].count(page.name) == 1


def test_title_of_an_admin_page_does_not_reveal_it_to_others() -> None:
    [found] = [page for page in PAGES if page.route == "/admin/people"]
    match = str(found.title)
    assert AdminState.get_name() in match
    assert re.findall(r'return \("([^"\\]*)', match) == ["People ", "Page not found ", "VideoVault"]
    assert {page.title for page in PAGES if page.route in ("/", "/gallery", "404")} == {
        "VideoVault",
        "Gallery · VideoVault",
        "Page not found · VideoVault",
    }


def test_links_to_the_api_are_followed_by_the_browser() -> None:
    """The pages' router would look for a page at that address."""
    to_api = re.compile(r"/api/|\[\"download_url\"\]")
    links = [link for found in PAGES for link in tags(found, "Link") if to_api.search(str(link.to))]
    assert (
        len(links) == 7
    )  # the modal's on two pages, the card's, the player's, the share page's, the account's, the admin's
    assert {str(link.reload_document) for link in links} == {"true"}


def test_forms_that_change_cookies_are_native() -> None:
    forms = {
        str(part.action).strip('"'): type(part).__name__
        for found in PAGES
        for part in [*tags(found, "form"), *tags(found, "PostedForm")]
        if part.action is not None
    }
    assert forms == {
        "/api/auth/login": "PostedForm",
        "/api/auth/register": "PostedForm",
        "/api/auth/logout": "NativeForm",
        "/api/auth/password": "PostedForm",
        "/api/auth/delete-account": "PostedForm",
        "/api/auth/forgot": "PostedForm",
        "/api/auth/reset": "PostedForm",
    }


def test_no_form_uses_the_browsers_validation(page: Page) -> None:
    """Its messages disappear after some seconds and cover one field only."""
    forms = [form for form in tags(page, "form") if form.action is None]
    assert {str(form.no_validate) for form in forms} <= {"true"}


def test_every_field_has_a_label_and_an_error(page: Page) -> None:
    fields = [part for tag in ("input", "textarea") for part in tags(page, tag) if part.id is not None]
    labelled = {str(label.html_for) for label in tags(page, "label") if label.html_for is not None}
    ids = {str(part.id) for part in parts(tree_of(page.component)) if getattr(part, "id", None) is not None}
    for field in fields:
        assert f'"{field.id}"' in labelled or str(field.id) in labelled
        assert f"{field.id}-error" in {name.strip('"') for name in ids}


def test_images_have_an_alternative_text(page: Page) -> None:
    assert all(image.alt is not None for image in tags(page, "img"))


def test_no_inline_styles(page: Page) -> None:
    """The content security policy forbids them; pictures have attributes for width and height."""
    assert not [part for part in parts(tree_of(page.component)) if getattr(part, "style", None)]


def test_page_has_a_live_region_for_notices(page: Page) -> None:
    regions = [part for part in tags(page, "div") if str(part.class_name).strip('"') == "notices"]
    assert regions
    assert {str(region.role) for region in regions} == {'"status"'}
    for region in regions:
        [link] = [part for part in parts(region) if part.tag == "Link"]
        assert "link_name" in str(link.custom_attrs)


def test_pages_for_signed_in_users_watch_progress() -> None:
    listening = {found.route for found in PAGES if ProgressState.watch in found.on_load}
    assert listening == SIGNED_IN_ONLY


def test_no_exclamation_marks(page: Page) -> None:
    assert not [text for text in texts(page) if re.search(r"[A-Za-z]!", text)]


def test_nothing_is_loaded_from_another_site(page: Page) -> None:
    assert not [text for text in texts(page) if text.startswith(("http://", "https://", "//"))]
