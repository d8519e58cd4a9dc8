"""Header injection: titles and form fields that end up in headers cannot add another header."""

import httpx
import pytest

from tests.api.requests import SAME_ORIGIN, code
from tests.support.people import PASSWORD, Person

pytestmark = [pytest.mark.usefixtures("own_embedded_s3"), pytest.mark.thorough]

TITLES = [
    'a"; filename="b.exe',
    "a%0d%0aSet-Cookie: a=b",
    "a\u2028Set-Cookie: a=b",
    "ä; x=y",
    "嘊嘍Set-Cookie:a=b",
]
BREAK = "/a\r\nSet-Cookie: videovault_session=stolen\r\n\r\n<script>"
FORMS = {
    "login": {"email": BREAK, "password": "x", "next": BREAK},
    "register": {"email": BREAK, "password": "x", "next": BREAK, "invitation": BREAK},
    "forgot": {"email": BREAK},
    "reset": {"token": BREAK, "password": "x"},
}


def test_a_title_with_control_characters_is_refused(ada: Person, stored: str) -> None:
    for title in ("a\r\nSet-Cookie: a=b", "a\nX-Other: b", "a\0b", "a\x0bb"):
        answer = ada.api.patch(f"/api/auth/video/{stored}", json={"title": title})
        assert code(answer) == (400, "INVALID_INPUT")


def test_other_titles_stay_inside_their_header(ada: Person, stored: str) -> None:
    for title in TITLES:
        one = f"/api/auth/video/{stored}"
        assert ada.api.patch(one, json={"title": title}).status_code == 200
        file = ada.api.get(ada.api.get(f"{one}/download").headers["location"])
        assert file.status_code == 200
        assert "set-cookie" not in file.headers
        kind, plain, encoded = file.headers["content-disposition"].split("; ")
        assert (kind, plain[:10], encoded[:10]) == ("attachment", 'filename="', "filename*=")
        assert plain.count('"') == 2


def test_form_fields_stay_inside_the_redirect(client: httpx.Client) -> None:
    for form, data in FORMS.items():
        answer = client.post(f"/api/auth/{form}", data=data, headers=SAME_ORIGIN)
        assert answer.status_code == 303
        assert answer.headers["location"].isprintable()
        assert not {"\r", "\n", " ", "<", ":"} & set(answer.headers["location"])
        assert "set-cookie" not in answer.headers


def test_the_next_page_of_a_login_injects_no_header(client: httpx.Client, ada: Person) -> None:
    sent = {"email": ada.email, "password": PASSWORD, "next": BREAK}
    answer = client.post("/api/auth/login", data=sent, headers=SAME_ORIGIN)
    assert answer.headers["location"] == "/create"
    assert "stolen" not in str(answer.headers)
