"""What people see and change of their own account over HTTP: name, sessions, API tokens."""

from typing import Annotated

from fastapi import APIRouter, Path

from videovault.api.auth import SignedInCaller
from videovault.api.envelope import Nothing, Success, failing
from videovault.api.schemas import NameBody, TokenBody
from videovault.services import accounts, sessions, tokens
from videovault.services.account_views import SessionView, TokenView
from videovault.services.views import UserView, View

router = APIRouter(prefix="/api/auth", tags=["Accounts"])


class Me(View):
    user: UserView


class Sessions(View):
    sessions: list[SessionView]


class Tokens(View):
    tokens: list[TokenView]


class FreshToken(TokenView):
    """With the token itself, shown this once."""

    token: str


@router.get("/me", responses=failing(401))
def me(caller: SignedInCaller) -> Success[Me]:
    """The account that is signed in; sizes in bytes, a quota of 0 is none."""
    return Success(message="Account retrieved successfully", data=Me(user=accounts.me(caller)))


@router.patch("/me", responses=failing(400, 401, 403))
def rename(caller: SignedInCaller, body: NameBody) -> Success[Me]:
    """Change what the account is called."""
    return Success(message="Account updated successfully", data=Me(user=accounts.rename(caller, body.name)))


@router.get("/sessions", responses=failing(401, 403))
def list_sessions(caller: SignedInCaller) -> Success[Sessions]:
    """Where the account is signed in, the latest used first."""
    found = sessions.listing(caller)
    return Success(message="Sessions retrieved successfully", data=Sessions(sessions=found))


@router.delete("/sessions/{sessionId}", responses=failing(401, 403, 404))
def sign_out(
    caller: SignedInCaller, session_id: Annotated[str, Path(alias="sessionId", max_length=64)]
) -> Success[Nothing]:
    """End one of the account's sessions."""
    sessions.sign_out(caller, session_id)
    return Success(message="Signed out successfully", data=Nothing())


@router.get("/tokens", response_model_exclude_none=True, responses=failing(401, 403))
def list_tokens(caller: SignedInCaller) -> Success[Tokens]:
    """The account's API tokens, newest first; never the tokens themselves."""
    return Success(message="Tokens retrieved successfully", data=Tokens(tokens=tokens.listing(caller)))


@router.post(
    "/tokens", status_code=201, response_model_exclude_none=True, responses=failing(400, 401, 403, 409)
)
def create_token(caller: SignedInCaller, body: TokenBody) -> Success[FreshToken]:
    """Make an API token; the token itself is shown this once.

    It works wherever a session's token does but for the account itself: password, sessions, tokens, deletion.
    With the scope `read` it may be used for GET only.
    """
    made = tokens.create(caller, body.name, body.scope, body.expires_in_days)
    fresh = FreshToken(**made.about.model_dump(), token=made.token)
    return Success(message="Token created successfully", data=fresh)


@router.delete("/tokens/{tokenId}", responses=failing(401, 403, 404))
def revoke_token(
    caller: SignedInCaller, token_id: Annotated[str, Path(alias="tokenId", max_length=64)]
) -> Success[Nothing]:
    """End an API token at once."""
    tokens.revoke(caller, token_id)
    return Success(message="Token revoked successfully", data=Nothing())
