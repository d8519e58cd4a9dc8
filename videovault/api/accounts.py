"""Accounts over HTTP: JSON for programs, and native HTML forms, whose answers are redirects."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse

from videovault import logs
from videovault.api import auth
from videovault.api.auth import SignedInCaller
from videovault.api.forms import Submission, either, is_form, json_answer, submission, user_agent
from videovault.api.middleware.forwarded import client_address
from videovault.api.responses import Nothing, Responses, Success, failures
from videovault.api.schemas import LoginBody, NameBody, RegisterBody, TokenBody
from videovault.errors import Busy, Conflict, DiskFull, Forbidden, InvalidInput, RateLimited, VideoVaultError
from videovault.security import local_path
from videovault.services.accounts import accounts, invitations, passwords
from videovault.services.accounts import sessions as accounts_sessions
from videovault.services.accounts import tokens as accounts_tokens
from videovault.services.accounts.views import SessionView, TokenView
from videovault.services.core import rate_limits
from videovault.services.core.views import SignedIn, UserView, View

START = "/create"  # where a form leads that names no page of its own
FORM: Responses = {
    303: {"description": "The answer to an HTML form: on to the next page, or back with the error"}
}

router = APIRouter(prefix="/api/auth", tags=["Accounts"])
Submitted = Annotated[Submission, Depends(submission)]


@router.post(
    "/register",
    status_code=201,
    response_model=Success[SignedIn],
    responses={**failures(400, 403, 409, 429), **FORM},
    openapi_extra=either(RegisterBody),
)
def register(sent: Submitted, request: Request, cookie: auth.Cookie) -> Response:
    """Make an account and sign it in. The first account of an installation is its admin.

    The session that the browser's cookie was for ends.
    """
    try:
        body = sent.parsed(RegisterBody)
        rate_limits.check_address(rate_limits.REGISTRATIONS, "register", client_address(request.scope))
        signed_in = accounts.register(
            body.email,
            body.password,
            body.name or "",
            invitation=body.invitation or "",
            user_agent=user_agent(request),
            replaced_token=cookie or "",
        )
    except (VideoVaultError, RequestValidationError) as error:
        if not sent.is_form:
            raise
        return _back("/register", error, _why_not_registered(error), sent)
    return _welcome(signed_in, sent, 201, "Account created successfully")


@router.post(
    "/login",
    response_model=Success[SignedIn],
    responses={**failures(400, 401, 403, 429), **FORM},
    openapi_extra=either(LoginBody),
)
def login(sent: Submitted, request: Request, cookie: auth.Cookie) -> Response:
    """Sign in, for a token and a cookie. An HTML form is sent on to its ``next``, a local path.

    The session that the browser's cookie was for ends.
    """
    try:
        body = sent.parsed(LoginBody)
        with rate_limits.login(body.email, client_address(request.scope), auth.device_cookie(request)):
            signed_in = accounts.login(
                body.email, body.password, user_agent=user_agent(request), replaced_token=cookie or ""
            )
        auth.log_identity(request, "password", signed_in.user.user_id)
    except (VideoVaultError, RequestValidationError) as error:
        if isinstance(error, RateLimited):
            logs.refused("sign-in", reason="limited")
        if not sent.is_form:
            raise
        return _back("/login", error, _why_not_signed_in(sent), sent)
    return _welcome(signed_in, sent, 200, "Signed in successfully")


@router.post(
    "/logout",
    response_model=Success[Nothing],
    responses={**failures(403), **FORM},
)
def logout(request: Request, token: auth.Token) -> Response:
    """End the session here and in the browser; one that has ended already is fine."""
    if token:
        accounts.logout(token)
    response: Response = RedirectResponse("/", 303)
    if not is_form(request):
        response = json_answer(Success(message="Signed out successfully", data=Nothing()), 200)
    auth.clear_session_cookie(response)
    return response


def _welcome(signed_in: SignedIn, sent: Submission, status: int, message: str) -> Response:
    if sent.is_form:
        response: Response = RedirectResponse(local_path(sent.text("next"), START), 303)
    else:
        response = json_answer(Success(message=message, data=signed_in), status)
    auth.set_session_cookie(response, signed_in.token, signed_in.expires_at)
    auth.set_device_cookie(response, signed_in.user.email)
    return response


def _back(page: str, error: Exception, why: str, sent: Submission) -> Response:
    """To the form again, with what was typed but the password."""
    said = {
        "error": why,
        "email": sent.text("email")[:254],
        "next": local_path(sent.text("next"), ""),
        "invitation": sent.text("invitation")[:500],
    }
    if isinstance(error, RateLimited):
        said |= {"error": "busy" if isinstance(error, Busy) else "slow", "wait": str(error.retry_after)}
    if isinstance(error, DiskFull):
        said["error"] = "full"
    return RedirectResponse(f"{page}?{urlencode({k: v for k, v in said.items() if v})}", 303)


def _why_not_signed_in(sent: Submission) -> str:
    left_out = [name for name in ("email", "password") if not sent.text(name)]
    return ",".join(f"no-{name}" for name in left_out) or "wrong"


def _why_not_registered(error: Exception) -> str:
    """In words that the page knows, one for each wrong field."""
    if isinstance(error, Conflict):
        return "taken"
    if isinstance(error, Forbidden):
        words = {invitations.INVITATION_INVALID: "invitation", invitations.INVITATION_REQUIRED: "uninvited"}
        return words.get(error.public_message, "closed")
    if isinstance(error, InvalidInput):
        words = {passwords.CONTROLS: "controls", passwords.TOO_COMMON: "common"}
        return ",".join(words.get(text, name) for name, text in error.fields.items())
    if isinstance(error, RequestValidationError):
        return str(error.errors()[0]["loc"][-1])
    return "failed"


# What people see and change of their own account over HTTP: name, sessions, API tokens.


class Me(View):
    user: UserView


class Sessions(View):
    sessions: list[SessionView]


class Tokens(View):
    tokens: list[TokenView]


class FreshToken(TokenView):
    """With the token itself, shown this once."""

    token: str


@router.get("/me", responses=failures(401))
def me(caller: SignedInCaller) -> Success[Me]:
    """The account that is signed in; sizes in bytes, a quota of 0 is none."""
    return Success(message="Account retrieved successfully", data=Me(user=accounts.me(caller)))


@router.patch("/me", responses=failures(400, 401, 403))
def rename(caller: SignedInCaller, body: NameBody) -> Success[Me]:
    """Change what the account is called."""
    return Success(message="Account updated successfully", data=Me(user=accounts.rename(caller, body.name)))


@router.get("/sessions", responses=failures(401, 403))
def list_sessions(caller: SignedInCaller) -> Success[Sessions]:
    """Where the account is signed in, the latest used first."""
    found = accounts_sessions.list_sessions(caller)
    return Success(message="Sessions retrieved successfully", data=Sessions(sessions=found))


@router.delete("/sessions/{sessionId}", responses=failures(401, 403, 404))
def sign_out(
    caller: SignedInCaller, session_id: Annotated[str, Path(alias="sessionId", max_length=64)]
) -> Success[Nothing]:
    """End one of the account's sessions."""
    accounts_sessions.end(caller, session_id)
    return Success(message="Signed out successfully", data=Nothing())


@router.get("/tokens", response_model_exclude_none=True, responses=failures(401, 403))
def list_tokens(caller: SignedInCaller) -> Success[Tokens]:
    """The account's API tokens, newest first; never the tokens themselves."""
    return Success(
        message="Tokens retrieved successfully", data=Tokens(tokens=accounts_tokens.list_tokens(caller))
    )


@router.post(
    "/tokens", status_code=201, response_model_exclude_none=True, responses=failures(400, 401, 403, 409)
)
def create_token(caller: SignedInCaller, body: TokenBody) -> Success[FreshToken]:
    """Make an API token; the token itself is shown this once.

    It works wherever a session's token does but for the account itself: password, sessions, tokens, deletion.
    With the scope `read` it may be used for GET only.
    """
    made = accounts_tokens.create(caller, body.name, body.scope, body.expires_in_days)
    fresh = FreshToken(**made.about.model_dump(), token=made.token)
    return Success(message="Token created successfully", data=fresh)


@router.delete("/tokens/{tokenId}", responses=failures(401, 403, 404))
def revoke_token(
    caller: SignedInCaller, token_id: Annotated[str, Path(alias="tokenId", max_length=64)]
) -> Success[Nothing]:
    """End an API token at once."""
    accounts_tokens.revoke(caller, token_id)
    return Success(message="Token revoked successfully", data=Nothing())
