"""Frozen views of accounts, sessions and tokens; core/views.py has those of the signed-in user."""

from typing import Literal

from videovault.models import ApiToken, Session, User
from videovault.services.core.views import Timestamp, View

Scope = Literal["read", "write"]


class SessionView(View):
    """A signed-in device. ``is_current``: the one that makes the request."""

    session_id: str
    user_agent: str
    created_at: Timestamp
    last_seen_at: Timestamp
    expires_at: Timestamp
    is_current: bool

    @classmethod
    def of(cls, row: Session, *, current_id: str) -> "SessionView":
        return cls(
            session_id=row.id,
            user_agent=row.user_agent,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            expires_at=row.expires_at,
            is_current=row.id == current_id,
        )


class TokenView(View):
    """A personal API token without its secret."""

    token_id: str
    name: str
    scope: Scope
    created_at: Timestamp
    expires_at: Timestamp | None = None
    last_used_at: Timestamp | None = None

    @classmethod
    def of(cls, row: ApiToken) -> "TokenView":
        return cls(
            token_id=row.id,
            name=row.name,
            scope="read" if row.scope == "read" else "write",
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )


class NewToken(View):
    """A new token; it is shown only this once."""

    token: str
    about: TokenView


class LinkView(View):
    """A single-use link to pass on; anyone who has it can use it."""

    url: str
    expires_at: Timestamp


class AdminUserView(View):
    """An account as an admin sees it; sizes in bytes, a quota of 0 means unlimited."""

    user_id: str
    email: str
    name: str
    is_admin: bool
    is_active: bool
    created_at: Timestamp
    last_seen_at: Timestamp | None = None
    video_count: int
    storage_bytes: int
    quota_bytes: int
    has_own_quota: bool

    @classmethod
    def of(cls, user: User, *, video_count: int, storage_bytes: int, quota_bytes: int) -> "AdminUserView":
        return cls(
            user_id=user.id,
            email=user.email,
            name=user.name,
            is_admin=user.is_admin,
            is_active=user.is_active,
            created_at=user.created_at,
            last_seen_at=user.last_seen_at,
            video_count=video_count,
            storage_bytes=storage_bytes,
            quota_bytes=quota_bytes,
            has_own_quota=user.quota_bytes is not None,
        )
