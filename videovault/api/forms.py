"""Requests that may come as JSON or as a native HTML form, which is how a browser keeps its session cookie."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from videovault import untrusted_json
from videovault.errors import TooLarge

MAX_FORM_BYTES = 64 * 1024  # the parser goes through it byte by byte, on the event loop
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Submission:
    """What was sent: the fields of a form, or whatever the JSON was."""

    values: Any
    is_form: bool

    def parsed(self, model: type[M]) -> M:
        """Raises RequestValidationError, as FastAPI does for the other routes."""
        try:
            return model.model_validate(self.values)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)
            raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in wrong]) from error

    def text(self, name: str) -> str:
        value = self.values.get(name, "") if isinstance(self.values, Mapping) else ""
        return value if isinstance(value, str) else ""


async def submission(request: Request) -> Submission:
    """Raises RequestValidationError for what is neither a form nor JSON, TooLarge for a form over ``MAX_FORM_BYTES``."""
    if is_form(request):
        if len(await request.body()) > MAX_FORM_BYTES:
            raise TooLarge(f"This form is too large: at most {MAX_FORM_BYTES // 1024} KiB are possible.")
        form = await request.form()
        return Submission({name: value for name, value in form.items() if isinstance(value, str)}, True)
    if _content_type(request) != "application/json":
        return Submission(None, False)
    try:
        return Submission(untrusted_json.loads_checked(await request.body()), False)  # by ``bodies.whole``
    except ValueError as error:
        wrong = {"type": "json_invalid", "loc": ("body",), "msg": "not JSON"}
        raise RequestValidationError([wrong]) from error


def is_form(request: Request) -> bool:
    return _content_type(request) in FORMS


def either(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI's words for a body that is JSON or a form."""
    schema = {"schema": model.model_json_schema()}
    return {"requestBody": {"required": True, "content": {"application/json": schema, FORMS[0]: schema}}}


def json_answer(answer: BaseModel, status: int) -> JSONResponse:
    """What a route answers that may also answer with a redirect, and so does its JSON by itself."""
    return JSONResponse(answer.model_dump(mode="json", by_alias=True, exclude_none=True), status)


def user_agent(request: Request) -> str:
    return request.headers.get("user-agent", "")


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
