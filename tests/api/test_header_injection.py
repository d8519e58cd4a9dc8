"""Titles come from anybody and end up in a header: none of them can add another one."""

import pytest

from tests.api.requests import code
from tests.fixtures.people import Person

pytestmark = pytest.mark.usefixtures("own_embedded_s3")


@pytest.mark.parametrize("title", ["a\r\nSet-Cookie: a=b", "a\nX-Other: b", "a\0b", "a\x0bb"])
def test_a_title_with_control_characters_is_refused(ada: Person, stored: str, title: str) -> None:
    answer = ada.api.patch(f"/api/auth/video/{stored}", json={"title": title})
    assert code(answer) == (400, "INVALID_INPUT")


@pytest.mark.parametrize(
    "title",
    [
        'a"; filename="b.exe',
        "a%0d%0aSet-Cookie: a=b",
        "a\u2028Set-Cookie: a=b",
        "ä; x=y",
        "嘊嘍Set-Cookie:a=b",
    ],
)
def test_any_other_title_stays_inside_its_header(ada: Person, stored: str, title: str) -> None:
    one = f"/api/auth/video/{stored}"
    assert ada.api.patch(one, json={"title": title}).status_code == 200
    file = ada.api.get(ada.api.get(f"{one}/download").headers["location"])
    assert file.status_code == 200
    assert "set-cookie" not in file.headers
    kind, plain, encoded = file.headers["content-disposition"].split("; ")
    assert (kind, plain[:10], encoded[:10]) == ("attachment", 'filename="', "filename*=")
    assert plain.count('"') == 2
