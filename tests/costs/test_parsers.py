"""Parsers of untrusted text take linear time up to the largest text that is accepted."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from tests.costs.instruction_count import steps
from videovault import security, untrusted_json
from videovault.api.middleware import body_limit, connection_limits, csrf, hosts
from videovault.embedded.studio import script_writer
from videovault.embedded.studio.requests import ScriptRequest
from videovault.errors import VideoVaultError
from videovault.gateways import container, http_headers, source_response, ssrf, webhook_reply
from videovault.logs import redaction
from videovault.services.core import client_ip, fields, naming
from videovault.services.generation import webhook_log

pytestmark = pytest.mark.thorough

KIB = 1024
MOST_TRACED = 2 * KIB  # characters: tracing each line takes a hundred times as long as running it
# What is repeated to make the text: all that has a meaning in one of the grammars, and what once made patterns slow.
PUMPS = (
    *" \n.,;:/\\\"'=&%@#?[{09aé\u0301\u202e",
    *("-a", "//", '\\"', "%25", "%41", "[]", '{"a":', "1.", "a://", "http://", "xn--", "```"),
    *(';a="', ";a*0*=b", "a=b;", "a=b&", "1.2.3.4,", "bytes=0-1,", "W/", '"x",', "v1,"),
    *("X-Amz-", "token=", "cookie", "how to ", "- "),
)
MANY = ("a", '"', "9", "a=b&", "http://")  # where the number of entries costs, and not what they say


@dataclass(frozen=True)
class Reader:
    """``most`` is how many characters are let in; ``around`` makes the text of what is repeated, one of ``pumps``."""

    read: Callable[[str], object]
    most: int
    around: Callable[[str], str] = str
    pumps: tuple[str, ...] = PUMPS


def _headers(name: str) -> Callable[[str], Any]:
    return lambda text: {"type": "http", "method": "POST", "scheme": "http", "path": "/", "headers": [(name.encode(), text.encode())], "client": ("127.0.0.1", 1), "query_string": b""}  # fmt: skip


def _scope(read: Callable[[Any], object], header: str) -> Callable[[str], object]:
    make = _headers(header)
    return lambda text: read(make(text))


def _query(text: str) -> dict[str, Any]:
    return {"type": "websocket", "headers": [], "query_string": text.encode()}


READERS = {
    "a value for the log": Reader(redaction.redact_text, 64 * KIB),
    "an event for the log": Reader(lambda text: redaction.bound_values({"event": {text: [text]}}), 64 * KIB),
    "a Host header": Reader(_scope(hosts.is_unknown, "host"), body_limit.MAX_HEADER_BYTES),
    "an Origin header": Reader(_scope(csrf.is_cross_site, "origin"), body_limit.MAX_HEADER_BYTES),
    "an Authorization header": Reader(
        _scope(csrf.is_cross_site, "authorization"), body_limit.MAX_HEADER_BYTES
    ),
    "the header of a proxy": Reader(
        _scope(hosts.apply_forwarded_headers, "x-forwarded-for"), body_limit.MAX_HEADER_BYTES
    ),
    "headers": Reader(_scope(body_limit.has_too_many_headers, "x"), body_limit.MAX_HEADER_BYTES),
    "the query of a socket": Reader(
        lambda text: connection_limits.bind_to_session(_query(text)), body_limit.MAX_TARGET_BYTES
    ),
    "a path to go on to": Reader(lambda text: security.local_path(text, "/"), body_limit.MAX_TARGET_BYTES),
    "a client's address": Reader(client_ip.rate_limit_key, body_limit.MAX_HEADER_BYTES),
    "a message of a socket": Reader(
        lambda text: connection_limits.check_message({"text": text}), connection_limits.MAX_MESSAGE_BYTES
    ),
    "an event of a socket": Reader(
        lambda text: connection_limits.check_message({"text": text}),
        connection_limits.MAX_MESSAGE_BYTES,
        lambda text: f'42/_event,["event",{{"name":"a","payload":{{"a":{json.dumps(text)}}}}}]',
    ),
    "JSON": Reader(untrusted_json.loads, body_limit.MAX_BODY_BYTES),
    "JSON in a string": Reader(
        untrusted_json.loads, body_limit.MAX_BODY_BYTES, lambda text: "[" * 40 + json.dumps(text)
    ),
    "a generator's answer": Reader(
        lambda text: webhook_reply.read(text.encode()),
        webhook_reply.MAX_BYTES,
    ),
    "an object of a generator's answer": Reader(
        lambda text: webhook_reply.read(text.encode()),
        webhook_reply.MAX_BYTES,
        lambda text: json.dumps(
            {text: text, "url": text, "status": text, "data": {"error": [text], "body": text}}
        ),
    ),
    "many objects of an answer": Reader(
        lambda text: webhook_reply.read(text.encode()),
        webhook_reply.MAX_BYTES,
        lambda text: json.dumps(
            [{"url": f"https://a.example/{i}.mp4", "status": text[:9]} for i in range(len(text) // 9)]
        ),
        MANY,
    ),
    "many names of an answer": Reader(
        lambda text: webhook_reply.read(text.encode()),
        webhook_reply.MAX_BYTES,
        lambda text: json.dumps({f"{text[:9]}{i}": f"https://a.example/{i}" for i in range(len(text) // 9)}),
        MANY,
    ),
    "the fields of an answer": Reader(
        lambda text: webhook_reply.url_fields(text.encode()),
        webhook_reply.MAX_BYTES,
        lambda text: json.dumps([f"https://a.example/{text[:9]}{i}" for i in range(len(text) // 9)]),
        MANY,
    ),
    "a form": Reader(
        lambda text: webhook_reply.read(text.encode(), "application/x-www-form-urlencoded"),
        webhook_reply.MAX_BYTES,
    ),
    "a script of a generator": Reader(
        lambda text: webhook_reply.read_script(text.encode()),
        webhook_reply.MAX_BYTES,
        lambda text: json.dumps([{"hook": text, "text": f"Hook: {text}", "content": [text]}]),
    ),
    "a generator's message": Reader(
        lambda text: webhook_reply.read(text.encode(), status=400),
        webhook_reply.MAX_BYTES,
        lambda text: json.dumps({"error": text, "estimatedTime": text, "url": text}),
    ),
    "a callback": Reader(
        lambda text: webhook_log._redact_body(text.encode()),
        body_limit.MAX_BODY_BYTES,
        lambda text: '{"callbackToken": "' + text,
    ),
    "the video of a callback": Reader(
        lambda text: webhook_log.video_id_in(text.encode()), body_limit.MAX_BODY_BYTES
    ),
    "a kept callback": Reader(webhook_log.strip_url_paths, webhook_log.MAX_BODY_BYTES),
    "a signature": Reader(
        lambda text: security.verify_webhook_signature(b"{}", {"webhook-signature": text}),
        body_limit.MAX_HEADER_BYTES,
    ),
    "a callback token": Reader(
        lambda text: security.order_from_callback_token(text, max_age_seconds=1), body_limit.MAX_HEADER_BYTES
    ),
    "a sealed key": Reader(
        lambda text: security.unseal(text, owner_id="", video_id=""), body_limit.MAX_HEADER_BYTES
    ),
    "an address": Reader(ssrf.parse, ssrf.MAX_URL_BYTES),
    "the host of an address": Reader(ssrf.parse, ssrf.MAX_URL_BYTES, lambda text: f"http://{text}/"),
    "the path of an address": Reader(ssrf.parse, ssrf.MAX_URL_BYTES, lambda text: f"http://a/{text}#\n"),
    "the file name in an address": Reader(
        naming.file_name, ssrf.MAX_URL_BYTES, lambda text: f"http://a/{text}"
    ),
    "the title in an address": Reader(
        source_response.title_from_url, ssrf.MAX_URL_BYTES, lambda text: f"http://a/{text}"
    ),
    "Content-Disposition": Reader(
        lambda text: source_response.filename_hint(text, ""), 64 * KIB, lambda text: f"attachment{text}"
    ),
    "Retry-After": Reader(http_headers.retry_after_seconds, 64 * KIB),
    "the beginning of a file": Reader(lambda text: container.detect_container(text.encode()), 4 * KIB),
    "a title": Reader(lambda text: naming.content_disposition(text, "mp4"), 120),
    "a script": Reader(
        lambda text: fields.validate(fields.SCRIPT, {"body": text}), body_limit.MAX_BODY_BYTES
    ),
    "an e-mail address": Reader(fields.normalize_email, 254),
    "a topic": Reader(script_writer.understand, webhook_reply.MAX_BYTES),
    "a brief": Reader(
        lambda text: script_writer.write_script(ScriptRequest(topic=text, social_handles=text, avatar=text)),
        webhook_reply.MAX_BYTES,
    ),
}


def _text(reader: Reader, pump: str, length: int) -> str:
    return reader.around((pump * (length // len(pump) + 1))[:length])


def _cost(reader: Reader, text: str) -> int:
    def read() -> None:
        with suppress(VideoVaultError, ValueError, connection_limits.MessageRefused):
            reader.read(text)

    read()  # so that what is computed once and cached does not count
    return steps(read)


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_parsing_takes_linear_time(reader: Reader) -> None:
    length = min(reader.most, MOST_TRACED) // 2
    for pump in reader.pumps:
        one, two = (_cost(reader, _text(reader, pump, size)) for size in (length, 2 * length))
        assert two < 3 * max(one, length), (
            f"{pump!r}: {one:,} steps for {length:,} characters, {two:,} for twice as many"
        )
