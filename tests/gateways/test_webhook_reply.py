"""Replies of generators are parsed in many shapes, and no other URL is taken for the video."""

import codecs
import json
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateways.reply_cases import (
    ADDRESSES,
    HOST,
    NEVER,
    SCRIPTS,
    VENDORS,
    WEBHOOK,
    Case,
    filled,
    named,
    sent,
)
from videovault.errors import WebhookError
from videovault.gateways import webhook_reply
from videovault.gateways.webhook_reply import Script, VideoReply

URL = f"{HOST}/file/ok.mp4"
STATES = {
    "ready": "ready",
    "under way": "processing",
    "accepted, wait for the report": "processing",
    "failed": "failed",
    "rejected": "rejected",
    "ordered once, wait for the report": "failed",  # by its body; the webhook's caller does not read a 5xx
}


def read(value: Any, content_type: str = "application/json", **more: Any) -> VideoReply:
    return webhook_reply.read(json.dumps(value).encode(), content_type, **more)


@pytest.mark.parametrize("case", WEBHOOK, ids=named(WEBHOOK))
def test_replies_from_bug_reports_are_parsed(case: Case) -> None:
    reply = webhook_reply.read(sent(case), case["content_type"], status=case["status"])
    assert reply.state == STATES[case["expect"]]
    assert reply.video_url == (URL if case["expect"] == "ready" else reply.video_url)
    assert bool(reply.message) == (reply.state in ("failed", "rejected"))


@pytest.mark.parametrize("case", VENDORS, ids=named(VENDORS))
def test_replies_of_known_generators_are_parsed(case: Case) -> None:
    reply = webhook_reply.read(sent(case), case.get("content_type", "application/json"))
    later = "{host}/later/c1.mp4" if case.get("later") else ""
    url = case.get("url", "{host}/file/ok.mp4" if case["expect"] == "ready" else later)
    assert (reply.state, reply.video_url) == (case["expect"], filled(url))
    assert reply.message == case.get("message", "")
    if "status_url" in case:
        assert reply.status_url == case["status_url"]


@pytest.mark.parametrize("case", NEVER, ids=named(NEVER))
def test_other_urls_are_not_taken_for_the_video(case: Case) -> None:
    reply = webhook_reply.read(sent(case))
    assert (reply.state, reply.video_url) == ("unread", "")
    assert reply.message


@pytest.mark.parametrize("case", ADDRESSES, ids=named(ADDRESSES))
def test_the_video_is_distinguished_from_other_urls(case: Case) -> None:
    reply = webhook_reply.read(sent(case))
    assert (reply.state, reply.video_url) == ("ready", filled(case["url"]))


@pytest.mark.parametrize("case", NEVER, ids=named(NEVER))
def test_other_urls_do_not_hide_the_video(case: Case) -> None:
    if isinstance(case["body"], dict) and not {"videoUrl", "video_url", "status"} & case["body"].keys():
        assert read({**case["body"], "videoUrl": URL}).video_url == URL


SHAPES: dict[str, Any] = {
    "ready": {"status": "completed", "video_url": URL, "thumbnail_url": f"{HOST}/t.jpg"},
    "processing": {"status": "rendering", "thumbnail_url": f"{HOST}/t.jpg"},
    "failed": {"status": "failed", "error": {"message": "Out of credit"}},
    "rejected": {"status": "rejected", "message": "No."},
}
WRAPPERS = [
    "data",
    "body",
    "json",
    "output",
    "result",
    "response",
    "payload",
    "event_data",
    "movie",
    "anything",
    "x1",
]


def wrapped(shape: Any) -> st.SearchStrategy[Any]:
    """In objects, lists of one, strings and code fences, up to five of them."""
    return st.lists(
        st.one_of(
            st.sampled_from(WRAPPERS).map(lambda name: ("object", name)),
            st.sampled_from([("list", ""), ("string", "body"), ("fence", "output"), ("choices", "")]),
        ),
        max_size=5,
    ).map(lambda layers: _in_layers(shape, layers))


def _in_layers(value: Any, layers: list[tuple[str, str]]) -> Any:
    strings = 0
    for kind, name in layers:
        if kind == "list":
            value = [value]
        elif kind == "object":
            value = {name: value, "requestId": "r"}
        elif kind == "choices":
            value = {"choices": [{"index": 0, "message": {"role": "assistant", "content": value}}]}
        elif strings < 2:  # JSON in a string in JSON in a string
            strings += 1
            text = json.dumps(value)
            value = {name: text if kind == "string" else f"Here it is:\n```json\n{text}\n```"}
    return value


@pytest.mark.parametrize("state", SHAPES)
@given(data=st.data())
def test_nesting_changes_nothing(state: str, data: st.DataObject) -> None:
    reply = read(data.draw(wrapped(SHAPES[state])))
    assert reply.state == state
    assert reply.video_url == (URL if state == "ready" else "")
    assert reply.message == {"failed": "Out of credit", "rejected": "No."}.get(state, "")


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just(URL)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(
                st.one_of(st.text(), st.sampled_from(["status", "url", "error", "data"])), inner, max_size=4
            ),
        ),
        max_leaves=20,
    )
)
def test_any_json_is_parsed_without_an_exception(value: Any) -> None:
    raw = json.dumps(value).encode()
    reply = webhook_reply.read(raw)
    assert reply.state in ("ready", "processing", "failed", "rejected", "unread")
    assert reply.video_url in ("", URL)
    webhook_reply.url_fields(raw)
    try:
        assert webhook_reply.read_script(raw) != Script()
    except WebhookError as error:
        assert error.public_message  # noqa: PT017 - either of the two is fine


@given(
    st.binary(max_size=200),
    st.sampled_from(
        ["", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=0"]
    ),
)
def test_any_bytes_are_parsed_without_an_exception(raw: bytes, content_type: str) -> None:
    assert webhook_reply.read(raw, content_type).state in (
        "ready",
        "processing",
        "failed",
        "rejected",
        "unread",
    )


@pytest.mark.parametrize(
    "raw",
    [
        codecs.BOM_UTF8 + f'{{"videoUrl": "{URL}"}}'.encode(),
        codecs.BOM_UTF16_LE + f'{{"videoUrl": "{URL}"}}'.encode("utf-16-le"),
        f'{{"videoUrl": "{URL}"}}'.encode("utf-16"),
        f'{{"videoUrl": "{URL}"}}'.encode("utf-16-be"),
        f'{{"videoUrl": "{URL}", "title": "caf\xe9"}}'.encode("latin-1"),
        URL.encode("utf-16"),
        f'{{"videoUrl": "{URL}",\n "script": "two\nlines"}}'.encode(),
        f'{{"videoUrl": "{URL}", "size": {"9" * 5000}, "duration": NaN}}'.encode(),
        f'  {{"videoUrl": "{URL}"}}\n\nSent by our workflow'.encode(),
    ],
    ids=[
        "BOM",
        "UTF-16 BOM",
        "UTF-16",
        "UTF-16 without BOM",
        "Latin-1",
        "UTF-16 text",
        "line break",
        "numbers",
        "tail",
    ],
)
def test_unusual_encodings_and_numbers_are_parsed(raw: bytes) -> None:
    reply = webhook_reply.read(raw)
    assert (reply.state, reply.video_url, reply.size, reply.duration) == ("ready", URL, None, None)


BAD: dict[str, bytes] = {
    "10 MB": b'{"a": "' + b"x" * 10_000_000 + b'"}',
    "1,000 levels": b'{"data":' * 1000 + b'{"videoUrl": "https://x.example/1.mp4"}' + b"}" * 1000,
    "30,000 addresses": b"[" + b",".join([b'"https://x.example/%d.mp4"' % i for i in range(30_000)]) + b"]",
    "NUL": b'{"videoUrl": "https://x.example/\x001.mp4"}',
    "all NUL": b"\x00" * 1000,
    "half a document": b'{"videoUrl": "https://x.example/1.mp4',
    "an unpaired surrogate": rb'{"videoUrl": "https://x.example/\ud800.mp4"}',
    "gzip": bytes.fromhex("1f8b08000000000000ffabaeaf05004a1a0b5a04000000"),
    "a picture": b"\x89PNG\r\n\x1a\n" + b"\x00" * 100,
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD)
def test_bad_input_has_a_defined_result(raw: bytes) -> None:
    reply = webhook_reply.read(raw)
    assert (reply.state, reply.video_url) == ("unread", "")
    assert reply.message
    assert len(webhook_reply.url_fields(raw)) <= 30
    with pytest.raises(WebhookError):
        webhook_reply.read_script(raw)


def test_urls_are_limited_to_16_kib() -> None:
    longest = URL + "?" + "a" * (16 * 1024 - len(URL) - 1)
    assert read({"videoUrl": longest}).video_url == longest
    reply = read({"videoUrl": longest + "a"})
    assert (reply.state, reply.video_url) == ("unread", "")
    assert "16 KiB" in reply.message


def test_a_body_can_be_the_video() -> None:
    film = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 100
    assert webhook_reply.read(film, "application/json") == VideoReply("ready", is_video=True)


@pytest.mark.parametrize(
    ("figures", "read_as"),
    [
        ({"duration": "12.5", "size": "1024"}, (12.5, 1024)),
        ({"duration": "0:01:13.480", "size": 1024.0}, (73.48, 1024)),
        ({"duration": 10**400, "size": -1}, (None, None)),
        ({"duration": "soon", "size": "1080x1920"}, (None, None)),
        ({"duration": True, "size": [1]}, (None, None)),
        ({"duration": float("nan"), "size": float("inf")}, (None, None)),
    ],
)
def test_optional_values_are_parsed_or_dropped(figures: Any, read_as: Any) -> None:
    reply = read(
        {"status": "ready", "videoUrl": URL, "metadata": figures, "estimatedTime": figures["duration"]}
    )
    assert (reply.state, reply.video_url) == ("ready", URL)
    assert (reply.duration, reply.size) == read_as


def test_the_result_field_takes_precedence() -> None:
    answer = {"movie": {"files": [{"at": f"{HOST}/1.mp4"}, {"at": URL}]}, "other": f"{HOST}/2.mp4"}
    assert read(answer).state == "unread"
    assert read(answer, field="movie.files.1.at").video_url == URL
    assert read([answer], field="Movie.files[1].AT").video_url == URL
    assert read({"body": json.dumps(answer)}, field="body.movie.files.1.at").video_url == URL
    assert read({**answer, "status": "rendering"}, field="movie.files.1.at") == VideoReply(
        "processing", video_url=URL
    )
    assert read({"videoUrl": URL}, field="movie.files.1.at").video_url == URL
    assert read(answer, field="movie.files.9.at").state == "unread"


def test_offered_fields_lead_to_their_urls() -> None:
    answer = [{"movie": {"a": f"{HOST}/1.mp4", "b": [URL]}, "thumb": f"{HOST}/t.jpg"}]
    raw = json.dumps(answer).encode()
    found = webhook_reply.url_fields(raw)
    assert [field.url for field in found] == [f"{HOST}/1.mp4", URL, f"{HOST}/t.jpg"]
    for field in found[:2]:
        assert webhook_reply.read(raw, field=field.path).video_url == field.url


def test_forms_are_parsed_like_objects() -> None:
    form = urlencode({"status": "ready", "videoUrl": URL, "metadata[duration]": "2", "userId": "u"})
    reply = webhook_reply.read(form.encode(), "application/x-www-form-urlencoded; charset=utf-8")
    assert (reply.state, reply.video_url, reply.duration, reply.user_id) == ("ready", URL, 2, "u")
    as_json = webhook_reply.read(json.dumps({"videoUrl": URL}).encode(), "application/x-www-form-urlencoded")
    assert as_json.video_url == URL
    twice = urlencode([("videoUrl", URL), ("videoUrl", f"{HOST}/2.mp4")])
    assert webhook_reply.read(twice.encode(), "application/x-www-form-urlencoded").state == "unread"
    many = "&".join(f"a{i}=1" for i in range(5000))
    assert webhook_reply.read(many.encode(), "application/x-www-form-urlencoded").state == "unread"


def test_the_fields_of_a_multipart_form_are_parsed_and_its_files_left_out() -> None:
    request = httpx.Request(
        "POST", HOST, data={"status": "ready", "data[videoUrl]": URL}, files={"poster": b"not the video"}
    )
    content_type = request.headers["Content-Type"]
    reply = webhook_reply.read(request.read(), content_type)
    assert (reply.state, reply.video_url) == ("ready", URL)


@pytest.mark.parametrize(
    "body",
    [
        b"--x\r\n\r\n1\r\n--x--",
        b"--x\r\n" * 20_000,
        b"--y\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n",
    ],
    ids=["no name", "too long", "another boundary", "cut"],
)
def test_a_malformed_multipart_form_is_not_understood(body: bytes) -> None:
    reply = webhook_reply.read(body, "multipart/form-data; boundary=x")
    assert (reply.state, reply.message.partition(" form ")[0]) == ("unread", "Its")


@pytest.mark.parametrize("case", SCRIPTS, ids=named(SCRIPTS))
def test_scripts_of_models_and_tools_are_parsed(case: Case) -> None:
    if "error" in case["body"]:
        with pytest.raises(WebhookError, match="quota of the model exceeded"):
            webhook_reply.read_script(sent(case))
        return
    missing, as_list = case["name"] == "a null part", "list of sentences" in case["name"]
    body, conclusion = "one two" if as_list else "B", "" if missing else "C"
    assert webhook_reply.read_script(sent(case)) == Script("Hi", body, conclusion)


PARTS = {"hook": "Hi", "body": "B", "conclusion": "C"}
TEXT = json.dumps(PARTS)


@pytest.mark.parametrize(
    "answer",
    [
        {
            "id": "c",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}}],
        },
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": f"```json\n{TEXT}\n```"}],
        },
        {"candidates": [{"content": {"parts": [{"text": TEXT}], "role": "model"}, "finishReason": "STOP"}]},
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": TEXT}]}]},
        [{"message": {"role": "assistant", "content": PARTS}}],
        {"body": PARTS, "headers": {"a": "b"}},
        {"HOOK": "Hi", "Body": {"text": "B"}, "conclusion ": ["C"]},
        {"text": "**Hook:** Hi\n\n**Body:** B\n\n**Conclusion:** C"},
        {"output": "# Hook\nHi\n# Body\nB\n# Conclusion\nC\n"},
        {"script": {"intro": "Hi", "main": "B", "outro": "C"}},
    ],
    ids=[
        "OpenAI",
        "Anthropic",
        "Gemini",
        "responses",
        "node",
        "n8n",
        "names",
        "labels",
        "headings",
        "synonyms",
    ],
)
def test_scripts_in_other_shapes_are_parsed(answer: Any) -> None:
    assert webhook_reply.read_script(json.dumps(answer).encode()) == Script("Hi", "B", "C")


def test_the_script_result_field_takes_precedence() -> None:
    answer = {"drafts": [{"hook": "no"}, {"hook": "Hi", "body": "B"}]}
    assert webhook_reply.read_script(json.dumps(answer).encode(), field="drafts.0") == Script("no")
    assert webhook_reply.read_script(json.dumps(answer).encode(), field="elsewhere") == Script("Hi", "B")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"message": "Workflow was started"}, "set Respond to “When Last Node Finishes”"),
        ("Accepted", "Webhook response"),
        ({}, "without hook, body or conclusion"),
        ({"success": False, "message": "No credit"}, "No credit"),
        ("Once upon a time", "not a script"),
        ([1, 2], "not a script"),
    ],
)
def test_a_reply_without_a_script_gives_advice(answer: Any, sentence: str) -> None:
    raw = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    with pytest.raises(WebhookError, match=sentence):
        webhook_reply.read_script(raw)


def test_text_that_only_looks_like_json_is_unchanged() -> None:
    parts = {
        "hook": '"Stop scrolling," she said.',
        "body": "[1] is a footnote",
        "conclusion": "{name}, buy it.",
    }
    assert webhook_reply.read_script(json.dumps(parts).encode()) == Script(**parts)


@pytest.mark.parametrize(
    "answer",
    ["Accepted", "OK", "Created", "Workflow was started", "processing", "", {}, [], None, {"ok": True}, {"success": True},
     {"id": "abc"}, {"executionId": "12"}, {"request_id": "r", "queue_position": 0}, {"status": "ok"}, {"estimatedTime": 5}],
    ids=repr,
)  # fmt: skip
def test_a_plain_acknowledgement_means_processing(answer: Any) -> None:
    raw = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    reply = webhook_reply.read(raw)
    assert (reply.state, reply.video_url, reply.message) == ("processing", "", "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"success": "false", "message": "No credit"}, "No credit"),
        ({"code": 501, "msg": "generation failed"}, "generation failed"),
        ({"error": {"code": 40119}}, "40119"),
        ({"errors": ["one", {"detail": "two"}]}, "one; two"),
        ({"status": "TASK_FAILED", "taskStatusMsg": "No\x00 voice\ud800"}, "No  voice"),
        ({"error": "Unauthorized", "url": "https://x.example/docs/errors"}, "Unauthorized"),
        ({"status": "expired", "url": URL}, ""),
        ({"status": "failed", "error": "x" * 100_000}, "x" * 2000),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_failure_keeps_its_reason(answer: Any, reason: str) -> None:
    reply = read(answer)
    assert (reply.state, reply.video_url, reply.message) == ("failed", "", reason)


def test_the_state_nearest_to_the_video_counts() -> None:
    assert read({"status": "success", "data": {"status": "processing", "url": URL}}).state == "processing"
    assert read({"status": "completed", "url": URL, "captions": {"status": "processing"}}).state == "ready"
    assert (
        read({"status": "processing", "steps": [{"status": "done"}, {"status": "failed"}]}).state
        == "processing"
    )
