"""New passwords over HTTP, and the end of an account: JSON for programs, native forms for pages."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse

from videovault.api import auth
from videovault.api.forms import Submission, either, json_answer, submission, user_agent
from videovault.api.middleware.forwarded import client_address
from videovault.api.responses import Nothing, Responses, Success, failures
from videovault.api.schemas import DeleteAccountBody, ForgotBody, PasswordBody, ResetBody
from videovault.errors import Busy, Conflict, DiskFull, Forbidden, InvalidInput, RateLimited, VideoVaultError
from videovault.services.accounts import accounts, password_reset, passwords
from videovault.services.core import fields, rate_limits
from videovault.services.core.views import SignedIn

FORM: Responses = {
    303: {"description": "The answer to an HTML form: on to the next page, or back with the error"}
}
FIELD_WORDS = {
    fields.INVALID_EMAIL: "email",
    passwords.MISSING: "no-password",
    passwords.WRONG: "wrong",
    passwords.CONTROLS: "controls",
    passwords.TOO_COMMON: "common",
}
WORDS = {Conflict: "only-admin", Busy: "busy", RateLimited: "slow", Forbidden: "spent", DiskFull: "full"}
ALIKE = "If there is an account with this address, a link is on its way to it."

router = APIRouter(prefix="/api/auth", tags=["Accounts"])
Submitted = Annotated[Submission, Depends(submission)]


@router.post(
    "/password",
    response_model=Success[SignedIn],
    responses={**failures(400, 401, 403, 429), **FORM},
    openapi_extra=either(PasswordBody),
)
def change_password(sent: Submitted, request: Request, caller: auth.SignedInCaller) -> Response:
    """Change the password: every session ends, and a new one begins here. API tokens stay good."""
    try:
        body = sent.parsed(PasswordBody)
        signed_in = accounts.change_password(
            caller, body.current_password, body.new_password, user_agent=user_agent(request)
        )
    except (VideoVaultError, RequestValidationError) as error:
        return _refused(error, sent, "/account")
    message = "Password changed successfully"
    response = _answer(sent, "/account?done=password", Success(message=message, data=signed_in))
    auth.set_session_cookie(response, signed_in.token, signed_in.expires_at)
    return response


@router.post(
    "/delete-account",
    response_model=Success[Nothing],
    responses={**failures(400, 401, 403, 409, 429), **FORM},
    openapi_extra=either(DeleteAccountBody),
)
def delete_account(sent: Submitted, caller: auth.SignedInCaller) -> Response:
    """Delete the account with all its videos, at once and for good; what S3 cannot delete now goes later."""
    try:
        accounts.close_account(caller, sent.parsed(DeleteAccountBody).password)
    except (VideoVaultError, RequestValidationError) as error:
        return _refused(error, sent, "/account", of="closing-")
    response = _answer(
        sent, "/login?done=deleted", Success(message="Account deleted successfully", data=Nothing())
    )
    auth.clear_session_cookie(response)
    auth.clear_device_cookie(response)
    return response


@router.post(
    "/forgot",
    response_model=Success[Nothing],
    responses={**failures(400, 403, 429), **FORM},
    openapi_extra=either(ForgotBody),
)
def forgot(sent: Submitted, request: Request) -> Response:
    """Ask for a link by e-mail that sets another password; answered alike whether there is such an account."""
    try:
        email = sent.parsed(ForgotBody).email
        if sent.is_form:  # which somebody mistyped; a program is answered alike whatever it sends
            fields.normalize_email(email)
        rate_limits.check_reset_email(email, client_address(request.scope), auth.device_cookie(request))
        password_reset.request_reset(email)
    except (DiskFull, RateLimited, InvalidInput, RequestValidationError) as error:
        return _refused(error, sent, "/forgot", email=sent.text("email")[:254])
    return _answer(sent, "/forgot?done=sent", Success(message=ALIKE, data=Nothing()))


@router.post(
    "/reset",
    response_model=Success[Nothing],
    responses={**failures(400, 403, 429), **FORM},
    openapi_extra=either(ResetBody),
)
def reset(sent: Submitted, request: Request) -> Response:
    """Set another password by a link's token, which works once and for an hour; every session ends."""
    try:
        body = sent.parsed(ResetBody)
        rate_limits.check_address(rate_limits.RESETS, "reset", client_address(request.scope))
        password_reset.reset(body.token, body.password)
    except (VideoVaultError, RequestValidationError) as error:
        return _refused(error, sent, "/reset", token=sent.text("token")[:500])
    message = "Password changed successfully; sign in with it"
    return _answer(sent, "/login?done=reset", Success(message=message, data=Nothing()))


def _answer(sent: Submission, page: str, answer: Success[SignedIn] | Success[Nothing]) -> Response:
    return RedirectResponse(page, 303) if sent.is_form else json_answer(answer, 200)


def _refused(error: Exception, sent: Submission, page: str, *, of: str = "", **said: str) -> Response:
    """A form comes back to its page with what was wrong, a program gets the error itself."""
    if not sent.is_form:
        raise error
    if isinstance(error, RateLimited):
        said |= {"wait": str(error.retry_after)}
    return RedirectResponse(f"{page}?{urlencode({'error': _why(error, of), **said})}", 303)


def _why(error: Exception, of: str) -> str:
    """In words that the pages know, one for each wrong field."""
    if isinstance(error, InvalidInput):
        return ",".join(of + FIELD_WORDS.get(text, "password") for text in error.fields.values())
    if isinstance(error, RequestValidationError) and error.errors()[0]["loc"][-1] == "email":
        return "no-email"
    return of + next((word for kind, word in WORDS.items() if isinstance(error, kind)), "invalid")
