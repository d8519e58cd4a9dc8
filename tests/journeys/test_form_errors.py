"""Native forms: errors beside their fields, failed requests, and the titles of the browser's tab."""

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.journeys.conftest import ADMIN, PASSWORD, register, signed_in

pytestmark = pytest.mark.journey
OTHER = "some other horse"
STORED_KEYS = "Object.keys(localStorage).filter((key) => key.startsWith('videovault/')).length"


def assert_field_error(page: Page, label: str, text: str) -> None:
    """The field is marked as invalid and described by the error."""
    field = page.get_by_label(label, exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(text)


def test_errors_are_beside_their_fields_and_typed_text_stays(page: Page) -> None:
    loads: list[Response] = []
    page.goto("/register?next=/gallery")
    page.on("response", lambda response: loads.append(response) if is_page(response) else None)
    email, password = page.get_by_label("E-mail"), page.get_by_label("Password", exact=True)
    email.fill("ada")
    password.fill("short")
    page.get_by_role("button", name="Create account").click()
    expect(email).to_be_focused()
    assert_field_error(page, "E-mail", "This is not a complete e-mail address, such as name@example.com.")
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


def test_form_that_could_not_be_sent_can_be_sent_again(page: Page) -> None:
    page.goto("/login")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("E-mail")).to_be_focused()
    assert_field_error(page, "E-mail", "Enter your e-mail address.")
    assert_field_error(page, "Password", "Enter your password.")
    page.route("**/api/auth/login", abort)
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Password", exact=True).fill(OTHER)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("This could not be sent.")).to_be_visible()
    page.unroute("**/api/auth/login")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("The e-mail address or the password is wrong.")).to_be_visible()
    expect(page.get_by_text("This could not be sent.")).to_be_hidden()
    expect(page.get_by_label("Password", exact=True)).to_have_value(OTHER)


def abort(route: Route) -> None:
    route.abort()


def test_form_request_times_out(page: Page) -> None:
    page.goto("/login")
    page.evaluate(
        "() => { const after = AbortSignal.timeout; AbortSignal.timeout = (ms) => after.call(AbortSignal, ms / 200); }"
    )
    page.route("**/api/auth/login", never_answer)
    button = page.get_by_role("button", name="Sign in")
    button.click()
    expect(page.get_by_text("This could not be sent.")).to_be_visible()
    expect(button).not_to_have_attribute("aria-busy", "true")


def never_answer(_route: Route) -> None:
    pass


def test_form_restored_by_the_back_button_can_be_sent_again(page: Page) -> None:
    """Browsers restore a page in the state in which it was left, with a pageshow event."""
    page.goto("/login")
    page.evaluate("AbortSignal.timeout = () => new AbortController().signal")  # no timeout
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


def test_browser_storage_is_cleared_only_after_the_account_is_deleted(page: Page) -> None:
    register(page, "leaving@example.com")
    page.goto("/account")
    page.evaluate("localStorage.setItem('videovault/leaving@example.com/brief', '{}')")
    page.get_by_label("Your password").fill(OTHER)
    page.get_by_role("button", name="Delete my account").click()
    assert_field_error(page, "Your password", "This is not your password.")
    assert page.evaluate(STORED_KEYS) == 1
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_role("link", name="Create account")).to_be_visible()
    assert page.evaluate(STORED_KEYS) == 0


def test_repeated_error_is_shown_again(page: Page) -> None:
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


def test_forms_work_without_scripts(page: Page) -> None:
    page.route("**/*.js", abort)
    page.goto("/login")
    page.get_by_label("E-mail").fill("nobody@example.com")
    page.get_by_label("Password", exact=True).fill(OTHER)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/login/?error=wrong&email=nobody%40example.com**")


def test_tab_title_names_the_page(page: Page) -> None:
    page.goto("/")
    expect(page).to_have_title("VideoVault")
    page.get_by_role("link", name="Sign in").first.click()
    expect(page).to_have_title("Sign in · VideoVault")
    page.get_by_role("link", name="Create account").click()
    expect(page).to_have_title("Create account · VideoVault")
    expect(signed_in(page, ADMIN, "/admin")).to_have_title("Videos · VideoVault")
    page.context.clear_cookies()
    register(page, "tab@example.com")
    page.goto("/create")
    expect(page).to_have_title("New video · VideoVault")
    page.get_by_role("link", name="Gallery").click()
    expect(page).to_have_title("Gallery · VideoVault")
    for path in ("/admin", "/admin/people", "/nowhere"):
        page.goto(path)
        expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
        expect(page).to_have_title("Page not found · VideoVault")
