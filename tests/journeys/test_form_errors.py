"""What pages say where something is wrong, and what the browser's tab says of each."""

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.journeys.conftest import ADMIN, PASSWORD, Visitor, register, signed_in

pytestmark = pytest.mark.journey
OTHER = "some other horse"
KEPT = "Object.keys(localStorage).filter((key) => key.startsWith('videovault/')).length"


def beside(page: Page, label: str, text: str) -> None:
    """The field is marked as wrong, and described by what is wrong with it."""
    field = page.get_by_label(label, exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(text)


def test_all_that_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(visitor: Visitor) -> None:
    page = visitor()
    loads: list[Response] = []
    page.goto("/register?next=/gallery")
    page.on("response", lambda response: loads.append(response) if is_page(response) else None)
    email, password = page.get_by_label("E-mail"), page.get_by_label("Password", exact=True)
    email.fill("ada")
    password.fill("short")
    page.get_by_role("button", name="Create account").click()
    expect(email).to_be_focused()
    beside(page, "E-mail", "This is not a complete e-mail address, such as name@example.com.")
    expect(password).to_have_accessible_description(
        "A password has 8 to 256 characters. At least 8 characters."
    )
    assert (email.input_value(), password.input_value()) == ("ada", "short")
    email.fill("beside@example.com")
    page.get_by_role("button", name="Create account").click()
    expect(password).to_be_focused()
    expect(email).to_have_attribute("aria-invalid", "false")
    assert password.input_value() == "short"
    assert loads == []
    password.fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/gallery/**")


def is_page(response: Response) -> bool:
    return response.request.is_navigation_request()


def test_a_form_that_cannot_be_sent_says_so_and_can_be_sent_again(visitor: Visitor) -> None:
    page = visitor()
    page.goto("/login")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("E-mail")).to_be_focused()
    beside(page, "E-mail", "Enter your e-mail address.")
    beside(page, "Password", "Enter your password.")
    page.route("**/api/auth/login", cut_off)
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Password", exact=True).fill(OTHER)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("This could not be sent.")).to_be_visible()
    page.unroute("**/api/auth/login")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("The e-mail address or the password is wrong.")).to_be_visible()
    expect(page.get_by_text("This could not be sent.")).to_be_hidden()
    expect(page.get_by_label("Password", exact=True)).to_have_value(OTHER)


def cut_off(route: Route) -> None:
    route.abort()


def test_a_form_does_not_wait_for_ever(visitor: Visitor) -> None:
    page = visitor()
    page.add_init_script(
        "const after = AbortSignal.timeout; AbortSignal.timeout = (ms) => after.call(AbortSignal, ms / 200)"
    )
    page.goto("/login")
    page.route("**/api/auth/login", no_answer)
    button = page.get_by_role("button", name="Sign in")
    button.click()
    expect(page.get_by_text("This could not be sent.")).to_be_visible()
    expect(button).not_to_have_attribute("aria-busy", "true")


def no_answer(_route: Route) -> None:
    pass


def test_a_form_that_one_comes_back_to_can_be_sent_again(visitor: Visitor) -> None:
    """Browsers keep a page as it was when it was left, and say that it is shown again."""
    page = visitor()
    page.add_init_script("AbortSignal.timeout = () => new AbortController().signal")  # it waits for ever
    page.goto("/login")
    sent: list[str] = []
    page.route("**/api/auth/login", lambda route: sent.append(route.request.method))
    button = page.get_by_role("button", name="Sign in")
    button.click()
    button.click()
    expect(button).to_have_attribute("aria-busy", "true")
    assert sent == ["POST"]
    page.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(button).not_to_have_attribute("aria-busy", "true")
    with page.expect_request("**/api/auth/login"):
        button.click()


def test_only_an_account_that_is_gone_takes_along_what_the_browser_keeps(page: Page) -> None:
    register(page, "leaving@example.com")
    page.goto("/account")
    page.evaluate("localStorage.setItem('videovault/leaving@example.com/brief', '{}')")
    page.get_by_label("Your password").fill(OTHER)
    page.get_by_role("button", name="Delete my account").click()
    beside(page, "Your password", "This is not your password.")
    assert page.evaluate(KEPT) == 1
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_role("link", name="Create account")).to_be_visible()
    assert page.evaluate(KEPT) == 0


def test_the_same_mistake_twice_is_told_twice(page: Page) -> None:
    register(page, "twice@example.com")
    page.goto("/account")
    for _ in range(2):
        page.get_by_label("Current password").fill(OTHER)
        page.get_by_label("New password").fill("short")
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_label("New password")).to_be_focused()
        expect(page.get_by_label("New password")).to_have_attribute("aria-invalid", "true")
        assert page.get_by_label("Current password").input_value() == OTHER
        page.get_by_label("Name", exact=True).first.fill("Ada")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("New password")).to_have_attribute("aria-invalid", "false")


def test_forms_work_without_any_script(visitor: Visitor) -> None:
    page = visitor()
    page.route("**/*.js", cut_off)
    page.goto("/login")
    page.get_by_label("E-mail").fill("nobody@example.com")
    page.get_by_label("Password", exact=True).fill(OTHER)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/login/?error=wrong&email=nobody%40example.com**")


def test_the_tab_says_where_one_is(visitor: Visitor) -> None:
    page = visitor()
    page.goto("/")
    expect(page).to_have_title("VideoVault")
    page.get_by_role("link", name="Sign in").first.click()
    expect(page).to_have_title("Sign in · VideoVault")
    page.get_by_role("link", name="Create account").click()
    expect(page).to_have_title("Create account · VideoVault")
    expect(signed_in(visitor(), ADMIN, "/admin")).to_have_title("Videos · VideoVault")
    register(page, "tab@example.com")
    expect(page).to_have_title("New video · VideoVault")
    page.get_by_role("link", name="Gallery").click()
    expect(page).to_have_title("Gallery · VideoVault")
    for nowhere in ("/admin", "/admin/people", "/nowhere"):
        page.goto(nowhere)
        expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
        expect(page).to_have_title("Not found · VideoVault")
