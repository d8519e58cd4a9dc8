"""Accounts: sign-up, sign-in, passwords, sessions and API tokens. JSON for programs, native forms for pages.

With a native form the browser itself receives the session cookie, out of reach of scripts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ValidationError

from videovault import logs, untrusted_json
from videovault.api import auth
from videovault.api.auth import SignedInCaller
from videovault.api.middleware.body_limit import media_type
from videovault.api.middleware.hosts import limit_key
from videovault.api.responses import Nothing, Responses, Success, failures
from videovault.api.schemas import (
    DeleteAccountBody,
    ForgotBody,
    LoginBody,
    NameBody,
    PasswordBody,
    RegisterBody,
    ResetBody,
    TokenBody,
)
from videovault.errors import (
    Busy,
    Conflict,
    DiskFull,
    Forbidden,
    InvalidInput,
    RateLimited,
    TooLarge,
    VideoVaultError,
)
from videovault.security import local_path
from videovault.services.accounts import accounts, passwords, sessions, tokens
from videovault.services.accounts.sessions import SessionView
from videovault.services.accounts.tokens import FreshToken, TokenView
from videovault.services.core import fields, rate_limits
from videovault.services.core.views import SignedIn, UserView, View

START_PAGE = "/create"  # after a form that names no next page
RESET_REQUESTED = "If there is an account with this address, a link is on its way to it."
# Error codes of the pages: for any form, for a field's message, for a failed registration.
ERROR_CODES = {Busy: "busy", RateLimited: "slow", DiskFull: "full"}
FIELD_CODES = {
    fields.INVALID_EMAIL: "email",
    passwords.MISSING: "no-password",
    passwords.WRONG: "wrong",
    passwords.CONTROLS: "controls",
    passwords.TOO_COMMON: "common",
}
INVITATION_CODES = {
    accounts.INVITATION_INVALID: "invitation",
    accounts.INVITATION_REQUIRED: "uninvited",
}
MAX_FORM_BYTES = 64 * 1024  # the parser reads it byte by byte, on the event loop
MEDIA_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
FORM_RESPONSE: Responses = {
    303: {"description": "The response to an HTML form: on to the next page, or back with the error"}
}
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Submission:
    """A request as JSON or as a native HTML form; ``values`` are its fields, or the decoded JSON."""

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
        return RedirectResponse(page, 303) if self.is_form else _success_response(message, data, status)


async def _submission(request: Request) -> Submission:
    """Raises RequestValidationError for malformed JSON, TooLarge for a form over ``MAX_FORM_BYTES``."""
    if _is_form(request):
        if len(await request.body()) > MAX_FORM_BYTES:
            raise TooLarge(f"This form is too large: the limit is {MAX_FORM_BYTES // 1024} KiB.")
        form = await request.form()
        return Submission({name: value for name, value in form.items() if isinstance(value, str)}, True)
    if media_type(request.scope) != "application/json":
        return Submission(None, False)
    try:  # the body limit has checked the depth
        return Submission(untrusted_json.loads_checked(await request.body()), False)
    except ValueError as error:
        fault = {"type": "json_invalid", "loc": ("body",), "msg": "not JSON"}
        raise RequestValidationError([fault]) from error


Submitted = Annotated[Submission, Depends(_submission)]


def _json_or_form(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI's description of a body that is JSON or a form."""
    schema = {"schema": model.model_json_schema()}
    return {
        "requestBody": {"required": True, "content": {"application/json": schema, MEDIA_TYPES[0]: schema}}
    }


router = APIRouter(prefix="/api/auth", tags=["Accounts"])


@router.post(
    "/register",
    status_code=201,
    response_model=Success[SignedIn],
    responses={**failures(400, 403, 409, 429), **FORM_RESPONSE},
    openapi_extra=_json_or_form(RegisterBody),
)
def register(sent: Submitted, request: Request, cookie: auth.SessionCookie) -> Response:
    """Create an account and sign it in. The first account of an installation becomes its admin.

    The browser's previous session ends.
    """
    try:
        body = sent.parsed(RegisterBody)
        rate_limits.check_address(rate_limits.REGISTRATIONS, "register", limit_key(request.scope))
        signed_in = accounts.register(
            body.email,
            body.password,
            body.name or "",
            invitation=body.invitation or "",
            user_agent=_user_agent(request),
            replaced_token=cookie,
        )
    except (VideoVaultError, RequestValidationError) as error:
        return _back(sent, "/register", error, _registration_code(error), **_typed(sent))
    return _start_session(signed_in, sent, 201, "Account created successfully")


@router.post(
    "/login",
    response_model=Success[SignedIn],
    responses={**failures(400, 401, 403, 429), **FORM_RESPONSE},
    openapi_extra=_json_or_form(LoginBody),
)
def login(sent: Submitted, request: Request, cookie: auth.SessionCookie) -> Response:
    """Sign in, for a token and a cookie. An HTML form is redirected to its ``next``, a local path.

    The browser's previous session ends.
    """
    try:
        body = sent.parsed(LoginBody)
        with rate_limits.login(body.email, limit_key(request.scope), auth.device_cookie(request)):
            signed_in = accounts.login(
                body.email, body.password, user_agent=_user_agent(request), replaced_token=cookie
            )
        auth.log_identity(request, "password", signed_in.user.user_id)
    except (VideoVaultError, RequestValidationError) as error:
        if isinstance(error, RateLimited):
            logs.refused("sign-in", reason="limited")
        missing = ",".join(f"no-{name}" for name in ("email", "password") if not sent.text(name))
        return _back(sent, "/login", error, missing or "wrong", **_typed(sent))
    return _start_session(signed_in, sent, 200, "Signed in successfully")


@router.post(
    "/logout",
    response_model=Success[Nothing],
    responses={**failures(403), **FORM_RESPONSE},
)
def logout(request: Request, token: auth.Token) -> Response:
    """End the session here and in the browser. It is no error if it has ended already."""
    if token:
        accounts.logout(token)
    if _is_form(request):
        response: Response = RedirectResponse("/", 303)
    else:
        response = _success_response("Signed out successfully", Nothing())
    auth.clear_session(response)
    return response


@router.post(
    "/password",
    response_model=Success[SignedIn],
    responses={**failures(400, 401, 403, 429), **FORM_RESPONSE},
    openapi_extra=_json_or_form(PasswordBody),
)
def change_password(sent: Submitted, request: Request, caller: SignedInCaller) -> Response:
    """Change the password. Every session ends and a new one starts here; API tokens stay valid."""
    try:
        body = sent.parsed(PasswordBody)
        signed_in = accounts.change_password(
            caller, body.current_password, body.new_password, user_agent=_user_agent(request)
        )
    except (VideoVaultError, RequestValidationError) as error:
        return _back(sent, "/account", error, _password_code(error))
    response = sent.respond("/account?done=password", "Password changed successfully", signed_in)
    auth.set_session(response, signed_in.token, signed_in.expires_at)
    return response


@router.post(
    "/delete-account",
    response_model=Success[Nothing],
    responses={**failures(400, 401, 403, 409, 429), **FORM_RESPONSE},
    openapi_extra=_json_or_form(DeleteAccountBody),
)
def delete_account(sent: Submitted, caller: SignedInCaller) -> Response:
    """Delete the account and all its videos permanently. What S3 cannot delete now is deleted later."""
    try:
        accounts.close_account(caller, sent.parsed(DeleteAccountBody).password)
    except (VideoVaultError, RequestValidationError) as error:
        return _back(sent, "/account", error, _password_code(error), prefix="closing-")
    response = sent.respond("/login?done=deleted", "Account deleted successfully", Nothing())
    auth.clear_session(response)
    auth.clear_device(response)
    return response


@router.post(
    "/forgot",
    response_model=Success[Nothing],
    responses={**failures(400, 403, 429), **FORM_RESPONSE},
    openapi_extra=_json_or_form(ForgotBody),
)
def forgot(sent: Submitted, request: Request) -> Response:
    """Request a link by e-mail that sets a new password. The response is the same without such an account."""
    try:
        email = sent.parsed(ForgotBody).email
        if sent.is_form:  # a person may have mistyped it; programs get the same response whatever they send
            fields.normalize_email(email)
        rate_limits.check_reset_email(email, limit_key(request.scope), auth.device_cookie(request))
        passwords.request_reset(email)
    except (DiskFull, RateLimited, InvalidInput, RequestValidationError) as error:
        return _back(sent, "/forgot", error, _password_code(error), email=sent.text("email")[:254])
    return sent.respond("/forgot?done=sent", RESET_REQUESTED, Nothing())


@router.post(
    "/reset",
    response_model=Success[Nothing],
    responses={**failures(400, 403, 429), **FORM_RESPONSE},
    openapi_extra=_json_or_form(ResetBody),
)
def reset(sent: Submitted, request: Request) -> Response:
    """Set a new password by a link's token, which works once and for an hour. Every session ends."""
    try:
        body = sent.parsed(ResetBody)
        rate_limits.check_address(rate_limits.RESETS, "reset", limit_key(request.scope))
        passwords.reset(body.token, body.password)
    except (VideoVaultError, RequestValidationError) as error:
        return _back(sent, "/reset", error, _password_code(error), token=sent.text("token")[:500])
    return sent.respond("/login?done=reset", "Password changed successfully; sign in with it", Nothing())


def _is_form(request: Request) -> bool:
    return media_type(request.scope) in MEDIA_TYPES


def _success_response(message: str, data: BaseModel, status: int = 200) -> JSONResponse:
    """A Success as a response, for routes that may also redirect."""
    success: Success[BaseModel] = Success(message=message, data=data)
    return JSONResponse(success.model_dump(mode="json", by_alias=True, exclude_none=True), status)


def _user_agent(request: Request) -> str:
    return request.headers.get("user-agent", "")


def _start_session(signed_in: SignedIn, sent: Submission, status: int, message: str) -> Response:
    response = sent.respond(local_path(sent.text("next"), START_PAGE), message, signed_in, status)
    auth.set_session(response, signed_in.token, signed_in.expires_at)
    auth.set_device(response, signed_in.user.email)
    return response


def _back(
    sent: Submission, page: str, error: Exception, code: str, *, prefix: str = "", **query: str
) -> Response:
    """Redirect a form to its page with an error code and ``query``. Raises the error for a program."""
    if not sent.is_form:
        raise error
    code = next((general for kind, general in ERROR_CODES.items() if isinstance(error, kind)), code)
    wait = str(error.retry_after) if isinstance(error, RateLimited) else ""
    given = {"error": _prefixed(prefix, code), **query, "wait": wait}
    return RedirectResponse(f"{page}?{urlencode({name: text for name, text in given.items() if text})}", 303)


def _prefixed(prefix: str, codes: str) -> str:
    return ",".join(f"{prefix}{code}" for code in codes.split(","))


def _typed(sent: Submission) -> dict[str, str]:
    """What was typed into a form, except the password."""
    return {
        "email": sent.text("email")[:254],
        "next": local_path(sent.text("next"), ""),
        "invitation": sent.text("invitation")[:500],
    }


def _registration_code(error: Exception) -> str:
    if isinstance(error, Conflict):
        return "taken"
    if isinstance(error, Forbidden):
        return INVITATION_CODES.get(error.public_message, "closed")
    if isinstance(error, RequestValidationError):
        return str(error.errors()[0]["loc"][-1])
    return _field_codes(error) if isinstance(error, InvalidInput) else "failed"


def _password_code(error: Exception) -> str:
    if isinstance(error, InvalidInput):
        return _field_codes(error)
    if isinstance(error, RequestValidationError) and error.errors()[0]["loc"][-1] == "email":
        return "no-email"
    codes = {Conflict: "only-admin", Forbidden: "spent"}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), "invalid")


def _field_codes(error: InvalidInput) -> str:
    """One code for each field that is wrong."""
    others = {"email": "email", "name": "name"}
    return ",".join(
        FIELD_CODES.get(text) or others.get(name, "password") for name, text in error.fields.items()
    )


class Me(View):
    user: UserView


class Sessions(View):
    sessions: list[SessionView]


class Tokens(View):
    tokens: list[TokenView]


@router.get("/me", responses=failures(401))
def me(caller: SignedInCaller) -> Success[Me]:
    """The signed-in account. Sizes are in bytes; a quota of 0 is unlimited."""
    return Success(message="Account retrieved successfully", data=Me(user=accounts.me(caller)))


@router.patch("/me", responses=failures(400, 401, 403))
def rename(caller: SignedInCaller, body: NameBody) -> Success[Me]:
    """Change the account's name."""
    return Success(message="Account updated successfully", data=Me(user=accounts.rename(caller, body.name)))


@router.get("/sessions", responses=failures(401, 403))
def list_sessions(caller: SignedInCaller) -> Success[Sessions]:
    """The account's sessions, most recently used first."""
    found = sessions.list_sessions(caller)
    return Success(message="Sessions retrieved successfully", data=Sessions(sessions=found))


@router.delete("/sessions/{sessionId}", responses=failures(401, 403, 404))
def sign_out(
    caller: SignedInCaller, session_id: Annotated[str, Path(alias="sessionId", max_length=64)]
) -> Success[Nothing]:
    """End one of the account's sessions."""
    sessions.end(caller, session_id)
    return Success(message="Signed out successfully", data=Nothing())


@router.get("/tokens", response_model_exclude_none=True, responses=failures(401, 403))
def list_tokens(caller: SignedInCaller) -> Success[Tokens]:
    """The account's API tokens, newest first, without the tokens themselves."""
    found = tokens.list_tokens(caller)
    return Success(message="Tokens retrieved successfully", data=Tokens(tokens=found))


@router.post(
    "/tokens", status_code=201, response_model_exclude_none=True, responses=failures(400, 401, 403, 409)
)
def create_token(caller: SignedInCaller, body: TokenBody) -> Success[FreshToken]:
    """Create an API token, which is shown only once.

    It works wherever a session's token does, except for the account itself: password, sessions, tokens, deletion.
    With the scope `read` it works for GET only.
    """
    fresh = tokens.create(caller, body.name, body.scope, body.expires_in_days)
    return Success(message="Token created successfully", data=fresh)


@router.delete("/tokens/{tokenId}", responses=failures(401, 403, 404))
def revoke_token(
    caller: SignedInCaller, token_id: Annotated[str, Path(alias="tokenId", max_length=64)]
) -> Success[Nothing]:
    """Revoke an API token immediately."""
    tokens.revoke(caller, token_id)
    return Success(message="Token revoked successfully", data=Nothing())
