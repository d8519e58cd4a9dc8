"""Input validation: every field missing, empty, too long, of the wrong type, or with odd characters."""

import itertools
import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlmodel import select

from tests.api.requests import BRIEF, DELETE, DOWNLOAD, GENERATE, SCRIPT, STATUS, code
from tests.support.people import MakeClient, Person
from videovault.db import reading
from videovault.models import Session, User, Video

pytestmark = [pytest.mark.usefixtures("installation"), pytest.mark.thorough]

LONG = "x" * 10_000
IDENTIFIERS = ("videoUrl", "avatar", "generatorId")  # addresses and identifiers: up to 16 KiB
CONTROLS, EMOJI, RIGHT_TO_LEFT = "a\x00\x07b", "🎬👩‍🚀", "\u202eשלום مرحبا"  # noqa: RUF001 - a Hebrew word
NUMBERS: list[Any] = [-1, 1e400, 10**40, True, "12", [], {}]
TEXTS: list[Any] = [7, True, ["a"], {"a": "b"}]
NOT_OBJECTS = [
    b"",
    b"{",
    b"[]",
    b'"text"',
    b"null",
    b"7",
    b"\xff\xfe",
    b'{"a": ' + b"9" * 10_000 + b"}",
    b"[" * 100_000,
    b'{"a": NaN',
]
INVALID_GALLERY_PARAMETERS = [
    ("userId", ""),
    ("userId", LONG),
    ("userId", "\x00"),
    ("userId", EMOJI),
    ("status", "deleting"),
    ("status", LONG),
    ("q", LONG),
    ("q", CONTROLS),
    ("sort", "best"),
    ("limit", "0"),
    ("limit", "201"),
    ("limit", "1.5"),
    ("limit", "9" * 5000),
    ("limit", "ten"),
    ("cursor", "-1"),
    ("cursor", LONG),
    ("cursor", "\x00"),
    ("cursor", "²"),
]
VIDEO, EMAIL = "video_1703123456789_abc123def", "ada@example.com"


@dataclass(frozen=True)
class Endpoint:
    """``exact`` fields are ids or words, not free text."""

    method: str
    path: str
    body: dict[str, Any]
    required: tuple[str, ...]
    exact: tuple[str, ...] = ()
    any_length: tuple[str, ...] = ()

    def send(self, api: httpx.Client, body: Any) -> httpx.Response:
        return api.request(self.method, self.path, json=body)


REGISTER = Endpoint(
    "POST",
    "/api/auth/register",
    {"email": "new@example.com", "password": "long enough", "name": "New"},
    required=("email", "password"),
    exact=("email",),
)
ENDPOINTS = [
    REGISTER,
    Endpoint(
        "POST",
        "/api/auth/login",
        {"email": EMAIL, "password": "long enough"},
        required=("email", "password"),
    ),
    Endpoint(
        "POST",
        "/api/auth/create-video",
        {**BRIEF, "email": EMAIL},
        required=("topic", "avatar", "email"),
        exact=("email",),
    ),
    Endpoint(
        "POST",
        GENERATE,
        {**SCRIPT, "email": EMAIL, "videoId": VIDEO},
        required=("hook", "body", "conclusion", "avatar", "email"),
        exact=("email", "videoId"),
    ),
    Endpoint(
        "POST",
        DOWNLOAD,
        {"videoUrl": "https://example.com/video.mp4", "userEmail": EMAIL, "title": "A title"},
        required=("videoUrl", "userEmail"),
        exact=("userEmail",),
    ),
    Endpoint(
        "DELETE",
        DELETE,
        {"userId": "user_id", "videoId": VIDEO},
        required=("userId", "videoId"),
        exact=("userId", "videoId"),
    ),
]


def stored_rows() -> list[tuple[str, ...]]:
    """The rows that requests could add."""
    with reading() as session:
        return [
            *session.exec(select(User.id, User.email)),
            *session.exec(select(Video.id, Video.status)),
            *((token,) for token in session.exec(select(Session.token_hash))),
        ]


def assert_refused(person: Person, endpoint: Endpoint, field: str, value: Any) -> None:
    """Assert a message for this field, and that nothing is stored."""
    before = stored_rows()
    answer = endpoint.send(person.api, {**endpoint.body, field: value})
    assert code(answer) == (400, "INVALID_INPUT"), (field, value, answer.text)
    fields = answer.json()["error"]["fields"]
    assert list(fields) == [field], (value, fields)
    assert fields[field]
    assert stored_rows() == before


def test_a_missing_field_is_named(ada: Person) -> None:
    for endpoint in ENDPOINTS:
        for field in endpoint.required:
            body = {name: value for name, value in endpoint.body.items() if name != field}
            answer = endpoint.send(ada.api, body)
            assert code(answer) == (400, "INVALID_INPUT")
            assert answer.json()["error"]["fields"] == {field: "This field is missing."}


def test_all_missing_fields_are_named_at_once(ada: Person) -> None:
    for endpoint in ENDPOINTS:
        answer = endpoint.send(ada.api, {})
        assert set(answer.json()["error"]["fields"]) == set(endpoint.required)


def test_an_empty_field_is_refused(ada: Person) -> None:
    for endpoint in ENDPOINTS:
        for field in endpoint.required:
            assert_refused(ada, endpoint, field, "")
            if field != "password":  # may have any characters
                assert_refused(ada, endpoint, field, " \t\n ")


def test_too_long_fields_are_refused(ada: Person) -> None:
    for endpoint in ENDPOINTS:
        for field in endpoint.body:
            if field not in endpoint.any_length:
                assert_refused(ada, endpoint, field, "x" * 16_385 if field in IDENTIFIERS else LONG)


def test_wrong_types_are_refused(ada: Person) -> None:
    for endpoint in ENDPOINTS:
        for field in endpoint.body:
            for value in TEXTS:
                assert_refused(ada, endpoint, field, value)


def test_control_characters_are_refused(ada: Person) -> None:
    for endpoint in ENDPOINTS:
        for field in endpoint.body:
            if field not in ("password", "error"):
                assert_refused(ada, endpoint, field, CONTROLS)


def test_lone_surrogates_are_refused(ada: Person) -> None:
    for endpoint in ENDPOINTS:
        for field in endpoint.body:
            broken = json.dumps({**endpoint.body, field: "HALF"}).replace("HALF", "\\ud83c")
            headers = {"Content-Type": "application/json"}
            answer = ada.api.request(endpoint.method, endpoint.path, content=broken, headers=headers)
            assert code(answer) == (400, "INVALID_INPUT"), field
            assert "cannot be shown" in answer.json()["error"]["fields"][field]


def test_ids_and_email_addresses_are_plain_ascii(ada: Person) -> None:
    for endpoint in ENDPOINTS:
        for field in endpoint.exact:
            for odd in (EMOJI, RIGHT_TO_LEFT, "' OR 1=1 --", "../../etc/passwd"):
                assert_refused(ada, endpoint, field, odd)


def test_an_invalid_video_url_is_refused(ada: Person) -> None:
    for odd in (EMOJI, RIGHT_TO_LEFT, "x", "//example.com/a.mp4", "http://"):
        answer = ada.api.post(DOWNLOAD, json={"videoUrl": odd, "userEmail": EMAIL})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] in ("INVALID_INPUT", "UNSAFE_URL")


def test_texts_may_be_in_any_language(make_client: MakeClient) -> None:
    for number, odd in enumerate((EMOJI, RIGHT_TO_LEFT)):
        body = {**REGISTER.body, "email": f"{number}@example.com", "name": odd}
        assert REGISTER.send(make_client(), body).json()["data"]["user"]["name"] == odd


def test_a_report_by_a_person_needs_user_and_video_id(ada: Person) -> None:
    odd_values: list[Any] = [None, 5, [], {}, "", EMOJI, RIGHT_TO_LEFT, "\x00", LONG, "../../etc/passwd"]
    for field, odd in itertools.product(("userId", "videoId"), odd_values):
        body = {"userId": ada.user_id, "videoId": VIDEO, "status": "failed", field: odd}
        before = stored_rows()
        for sent in (body, {name: value for name, value in body.items() if name != field}):
            answer = ada.api.put(STATUS, json=sent)
            assert code(answer) == (400, "INVALID_INPUT"), answer.text
            assert list(answer.json()["error"]["fields"]) == [field]
        assert stored_rows() == before


def test_a_report_by_a_person_needs_a_known_status(ada: Person) -> None:
    unknown: list[Any] = ["deleting", LONG, None, 5, [], {}, "\x00"]
    for status in unknown:
        body = {"userId": ada.user_id, "videoId": VIDEO, "status": status, "about": "something"}
        answer = ada.api.put(STATUS, json=body)
        assert code(answer) == (400, "INVALID_INPUT")
        assert list(answer.json()["error"]["fields"]) == ["status"]


def test_deleting_many_needs_a_list_of_ids(admin: Person) -> None:
    for value in (None, [], "video", [1], ["a/b"], ["x" * 65], ["v"] * 1001):
        answer = admin.api.request("DELETE", "/api/admin/videos", json={"videoIds": value})
        assert code(answer) == (400, "INVALID_INPUT")
        assert all(name.startswith("videoIds") for name in answer.json()["error"]["fields"])


def test_invalid_gallery_parameters_are_refused(ada: Person) -> None:
    for name, value in INVALID_GALLERY_PARAMETERS:
        query = {"userId": ada.user_id, name: value}
        answer = ada.api.get("/api/auth/video/gallery", params=query)
        assert code(answer) == (400, "INVALID_INPUT")
        assert list(answer.json()["error"]["fields"]) == [name]


def test_the_gallery_needs_a_user_id(ada: Person) -> None:
    answer = ada.api.get("/api/auth/video/gallery")
    assert answer.json()["error"]["fields"] == {"userId": "This field is missing."}


def test_a_parameter_given_twice_is_refused(ada: Person) -> None:
    answer = ada.api.get(f"/api/auth/video/gallery?userId={ada.user_id}&userId=other")
    assert code(answer) == (400, "INVALID_INPUT")
    assert list(answer.json()["error"]["fields"]) == ["userId"]


def test_an_invalid_id_in_the_path_is_404(ada: Person) -> None:
    odd_ids = (EMOJI, "%c2%80", "%2e%2e", "a" * 300, "' OR 1=1", "%ff")
    for odd, rest in itertools.product(odd_ids, ("", "/download", "/thumbnail")):
        assert code(ada.api.get(f"/api/auth/video/{odd}{rest}")) == (404, "VIDEO_NOT_FOUND")


def test_inline_must_be_a_boolean(ada: Person) -> None:
    for odd in ("maybe", "2", EMOJI):
        answer = ada.api.get(f"/api/auth/video/{VIDEO}/download", params={"inline": odd})
        assert code(answer) == (400, "INVALID_INPUT")
        assert answer.json()["error"]["fields"] == {"inline": "This must be true or false."}


def test_a_body_that_is_not_a_json_object_is_refused(ada: Person) -> None:
    for endpoint in ENDPOINTS:
        for content in NOT_OBJECTS:
            headers = {"Content-Type": "application/json"}
            answer = ada.api.request(endpoint.method, endpoint.path, content=content, headers=headers)
            assert code(answer) == (400, "INVALID_INPUT"), content[:20]
            assert answer.json()["error"]["fields"]


def test_json_with_another_content_type_is_refused(ada: Person) -> None:
    for endpoint in ENDPOINTS:
        content = json.dumps(endpoint.body)
        for kind in ("", "text/plain", "application/xml", "rubbish"):
            headers = {"Content-Type": kind}
            answer = ada.api.request(endpoint.method, endpoint.path, content=content, headers=headers)
            assert code(answer) == (400, "INVALID_INPUT"), kind
            assert "application/json" in answer.json()["message"]
