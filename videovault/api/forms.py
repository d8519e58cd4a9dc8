"""Requests sent as JSON or as a native HTML form, so that the browser itself receives the session cookie."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ValidationError

from videovault import untrusted_json
from videovault.api.middleware.body_limit import media_type
from videovault.api.responses import Responses, Success
from videovault.errors import TooLarge

MAX_FORM_BYTES = 64 * 1024  # the parser reads it byte by byte, on the event loop
MEDIA_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
FORM_RESPONSE: Responses = {
    303: {"description": "The response to an HTML form: on to the next page, or back with the error"}
}
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Submission:
    """``values`` are the fields of a form, or the decoded JSON."""

    values: Any
    is_form: bool

    def parsed(self, model: type[M]) -> M:
        """Raises RequestValidationError, as FastAPI does for other routes."""
        try:
            return model.model_validate(self.values)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
            in_body = [{**fault, "loc": ("body", *fault["loc"])} for fault in faults]
            raise RequestValidationError(in_body) from error

    def text(self, name: str) -> str:
        value = self.values.get(name, "") if isinstance(self.values, Mapping) else ""
        return value if isinstance(value, str) else ""

    def respond(self, page: str, message: str, data: BaseModel, status: int = 200) -> Response:
        """A redirect to ``page`` for a form, else a Success."""
        return RedirectResponse(page, 303) if self.is_form else success_response(message, data, status)


async def _submission(request: Request) -> Submission:
    """Raises RequestValidationError for malformed JSON, TooLarge for a form over ``MAX_FORM_BYTES``."""
    if is_form(request):
        if len(await request.body()) > MAX_FORM_BYTES:
            raise TooLarge(f"This form is too large: the limit is {MAX_FORM_BYTES // 1024} KiB.")
        form = await request.form()
        return Submission({name: value for name, value in form.items() if isinstance(value, str)}, True)
    if media_type(request.scope) != "application/json":
        return Submission(None, False)
    try:
        return Submission(
            untrusted_json.loads_checked(await request.body()), False
        )  # checked by the body limit
    except ValueError as error:
        fault = {"type": "json_invalid", "loc": ("body",), "msg": "not JSON"}
        raise RequestValidationError([fault]) from error


Submitted = Annotated[Submission, Depends(_submission)]


def is_form(request: Request) -> bool:
    return media_type(request.scope) in MEDIA_TYPES


def json_or_form(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI's description of a body that is JSON or a form."""
    schema = {"schema": model.model_json_schema()}
    return {
        "requestBody": {"required": True, "content": {"application/json": schema, MEDIA_TYPES[0]: schema}}
    }


def success_response(message: str, data: BaseModel, status: int = 200) -> JSONResponse:
    """A Success as a response, for routes that may also redirect."""
    success: Success[BaseModel] = Success(message=message, data=data)
    return JSONResponse(success.model_dump(mode="json", by_alias=True, exclude_none=True), status)
