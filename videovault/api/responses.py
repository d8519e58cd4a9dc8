"""From errors to answers: the one place that knows status codes."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from videovault import errors
from videovault.api.errors import OUR_FAULT, problem, request_id

STATUS: dict[type[errors.VideoVaultError], int] = {
    errors.InvalidInput: 400,
    errors.NotSignedIn: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.SourceError: 422,
    errors.RateLimited: 429,
    errors.UpstreamError: 502,
    errors.DiskFull: 507,
    errors.VideoVaultError: 500,
}
CODES = {
    401: "NOT_SIGNED_IN",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "TOO_LARGE",
    429: "RATE_LIMITED",
}
# Whether there is such a video is just what these do not tell.
UNKNOWN = (errors.VideoNotFound, errors.WrongSecretKey)
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NOTHING = errors.NotFound("There is nothing by this id.")
MISSING = {"videoId": errors.VideoNotFound(), "userId": errors.UserNotFound()}
NOT_JSON = "The body must be a JSON object, sent as application/json."
SENTENCES = {
    "missing": "This field is missing.",
    "string_type": "This must be text.",
    "string_unicode": "This contains characters that cannot be shown.",
    "string_pattern_mismatch": "This is not an id that was given out here.",
    "int_type": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "int_parsing_size": "This number is too large.",
    "int_from_float": "This must be a whole number.",
    "float_type": "This must be a number.",
    "float_parsing": "This must be a number.",
    "finite_number": "This must be a number.",
    "bool_parsing": "This must be true or false.",
    "list_type": "This must be a list.",
    "model_attributes_type": "This must be an object.",
    "model_type": "This must be an object.",
    "dict_type": "This must be an object.",
}
WITH_LIMITS = {
    "string_too_long": "This is too long: at most {max_length:,} characters are possible.",
    "string_too_short": "This field is missing.",
    "too_long": "This is too long: at most {max_length:,} entries are possible.",
    "too_short": "This needs at least one entry.",
    "literal_error": "This must be one of {expected}.",
    "greater_than_equal": "This must be at least {ge:,}.",
    "less_than_equal": "This must be at most {le:,}.",
    "value_error": "{error}",
}


def for_error(request: Request, error: Exception) -> Response:
    """Any of our own errors."""
    assert isinstance(error, errors.VideoVaultError)  # noqa: S101 - it is registered for these only
    return problem(
        status_of(error),
        error.code,
        error.public_message,
        fields=error.fields if isinstance(error, errors.InvalidInput) else None,
        request_id=request_id(request.scope) if status_of(error) == 500 else None,
        video_id=error.video_id or (None if isinstance(error, UNKNOWN) else _video_of(request)),
        headers=_headers(error),
    )


def for_invalid(request: Request, error: Exception) -> Response:
    """What pydantic found wrong with a request."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is registered for these only
    wrong = error.errors()
    ids = [str(entry["loc"][-1]) for entry in wrong if entry["loc"][0] == "path"]
    if ids:  # no id looks like that, so nothing is there
        missing = MISSING.get(ids[0], NOTHING)
        return problem(404, missing.code, missing.public_message)
    message, fields = "Please check the marked fields.", _fields(wrong)
    if any(entry["type"] == "json_invalid" for entry in wrong):
        message, fields = "The body is not valid JSON.", {"body": NOT_JSON}
    elif any(len(entry["loc"]) == 1 for entry in wrong):
        message, fields = NOT_JSON, {"body": NOT_JSON}
    video_id = _video_of(request) or _named(error.body)
    return problem(400, "INVALID_INPUT", message, fields=fields, video_id=video_id)


def for_http(request: Request, error: Exception) -> Response:
    """What the framework refused before a route was reached."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these only
    status = error.status_code
    if status == 400:  # a body that could not be read
        fields = {"body": NOT_JSON}
        return problem(400, "INVALID_INPUT", NOT_JSON, fields=fields, video_id=_video_of(request))
    message, code = f"{HTTPStatus(status).phrase}.", CODES.get(status, "INVALID_INPUT")
    return problem(status, code, message, headers=error.headers, video_id=_video_of(request))


def for_unknown(request: Request, _error: Exception) -> Response:
    """A fault of ours: nothing of it is shown, ``harden`` logs it under the same id."""
    quoted, video_id = request_id(request.scope), _video_of(request)
    return problem(500, "INTERNAL_ERROR", OUR_FAULT, request_id=quoted, video_id=video_id)


def concerns(request: Request, video_id: str | None) -> None:
    """Note the video that the call has made or is about, so that every error from now on names it."""
    request.state.video_id = video_id


def _video_of(request: Request) -> str | None:
    """The one noted by ``concerns``, else the one in the address."""
    noted = getattr(request.state, "video_id", None) or request.path_params.get("videoId")
    return noted if isinstance(noted, str) and VIDEO_ID.fullmatch(noted) else None


def _named(body: Any) -> str | None:
    """The video that a body names although the rest of it is wrong."""
    named = body.get("videoId") if isinstance(body, Mapping) else None
    return named if isinstance(named, str) and VIDEO_ID.fullmatch(named) else None


def status_of(error: errors.VideoVaultError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def _headers(error: errors.VideoVaultError) -> dict[str, str] | None:
    if isinstance(error, errors.NotSignedIn):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.RateLimited | errors.StillRunning):
        return {"Retry-After": str(error.retry_after)}
    return None


def _fields(wrong: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The first fault of each field, by its name in JSON."""
    fields: dict[str, str] = {}
    for entry in wrong:
        fields.setdefault(".".join(str(part) for part in entry["loc"][1:]), _sentence(entry))
    return fields


def _sentence(entry: Mapping[str, Any]) -> str:
    kind = entry["type"]
    if kind in WITH_LIMITS:
        return WITH_LIMITS[kind].format(**entry["ctx"])
    return SENTENCES.get(kind) or f"{entry['msg']}."
