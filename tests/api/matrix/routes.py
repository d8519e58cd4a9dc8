"""Every operation of the API: its access rule, and a request that succeeds."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.api.matrix import rules
from tests.api.matrix.population import AVATAR_ID, Account, RequestContext
from tests.api.matrix.rules import NO_CALLER, TARGETED, YES, CallerName, Rule, Target
from tests.api.requests import BRIEF, SCRIPT
from tests.support.people import PASSWORD
from videovault.api.middleware.csrf import SAFE_METHODS
from videovault.models import Status

FORM = " (form)"  # suffix of an operation's name: sent as a native form
Fields = Callable[[RequestContext], Mapping[str, Any]]
NEW = "battery staple"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True)
class Form:
    """The page a native form redirects to, and by caller the page a refused form returns to."""

    done: str
    back: Mapping[CallerName, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """``state`` is the status of all videos during the request; ``raw`` is a body that is not JSON."""

    rule: Rule
    status: int = 200
    body: Fields | None = None
    query: Fields | None = None
    state: Status = Status.READY
    form: Form | None = None
    raw: bytes | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        return ("own", "foreign", "absent") if self.rule in TARGETED else ("own",)

    def expected(self, method: str, caller: CallerName, target: Target) -> str:
        """The expected status, and where a form is redirected."""
        refusal = self.rule(caller, target)
        if caller == "read token" and method not in SAFE_METHODS and self.rule not in NO_CALLER:
            refusal = 403
        if self.form is None:
            return str(refusal or self.status)
        if refusal == YES:
            return f"303 {self.form.done}"
        return f"303 {self.form.back[caller]}" if caller in self.form.back else str(refusal)


def _named(*names: str) -> Fields:
    """These fields of the named account, by their names in JSON."""
    return lambda context: {name: context.named.by_name[name] for name in names}


def _of(context: RequestContext, **fields: Any) -> Mapping[str, Any]:
    """A body that names the owner of the video."""
    claimed: Account = context.named if context.caller == "admin" else context.me
    return {"userId": claimed.user_id, "videoId": context.named.video_id, **fields}


def _key(context: RequestContext) -> Mapping[str, Any]:
    return {"key": context.me.secret_key}


# Sent as JSON by programs and as a form by pages.
SENT: dict[str, Fields] = {
    "register": lambda _: {"email": "new@example.com", "password": PASSWORD},
    "login": lambda context: {"email": context.me.email, "password": PASSWORD},
    "forgot": lambda context: {"email": context.me.email},
    "reset": lambda context: {"token": context.me.reset_token, "password": NEW},
    "change": lambda _: {"currentPassword": PASSWORD, "newPassword": NEW},
    "close": lambda _: {"password": PASSWORD},
}
ROUTES: dict[str, Route] = {
    "POST /api/auth/register": Route(rules.anyone, 201, SENT["register"]),
    "POST /api/auth/register (form)": Route(rules.anyone, body=SENT["register"], form=Form("/create")),
    "POST /api/auth/login": Route(rules.password_holder, 200, SENT["login"]),
    "POST /api/auth/login (form)": Route(
        rules.password_holder, body=SENT["login"], form=Form("/create", {"deactivated": "/login?error=wrong"})
    ),
    "POST /api/auth/logout": Route(rules.anyone),
    "POST /api/auth/logout (form)": Route(rules.anyone, form=Form("/")),
    "POST /api/auth/forgot": Route(rules.anyone, 200, SENT["forgot"]),
    "POST /api/auth/forgot (form)": Route(rules.anyone, body=SENT["forgot"], form=Form("/forgot?done=sent")),
    "POST /api/auth/reset": Route(rules.link_holder, 200, SENT["reset"]),
    "POST /api/auth/reset (form)": Route(
        rules.link_holder,
        body=SENT["reset"],
        form=Form("/login?done=reset", {"deactivated": "/reset?error=spent"}),
    ),
    "POST /api/auth/password": Route(rules.in_person, 200, SENT["change"]),
    "POST /api/auth/password (form)": Route(
        rules.in_person,
        body=SENT["change"],
        form=Form("/account?done=password", {"write token": "/account?error=spent"}),
    ),
    "POST /api/auth/delete-account": Route(rules.in_person, 200, SENT["close"]),
    "POST /api/auth/delete-account (form)": Route(
        rules.in_person,
        body=SENT["close"],
        form=Form("/login?done=deleted", {"write token": "/account?error=closing-spent"}),
    ),
    "GET /api/auth/me": Route(rules.signed_in),
    "PATCH /api/auth/me": Route(rules.in_person, 200, lambda _: {"name": "Another"}),
    "GET /api/auth/sessions": Route(rules.in_person),
    "DELETE /api/auth/sessions/{sessionId}": Route(rules.owner_in_person),
    "GET /api/auth/tokens": Route(rules.in_person),
    "POST /api/auth/tokens": Route(rules.in_person, 201, lambda _: {"name": "Nightly"}),
    "DELETE /api/auth/tokens/{tokenId}": Route(rules.owner_in_person),
    "POST /api/auth/create-video": Route(
        rules.signed_in, 200, lambda context: {**BRIEF, "email": context.me.email}
    ),
    "POST /api/auth/create-video/generate-video": Route(
        rules.owner,
        202,
        lambda context: {**SCRIPT, "email": context.me.email, "videoId": context.named.video_id},
        state=Status.DRAFT,
    ),
    "POST /api/auth/video/download": Route(
        rules.signed_in, 202, lambda context: {"videoUrl": context.source_url, "userEmail": context.me.email}
    ),
    "PUT /api/auth/video/status": Route(
        rules.reporter, 200, lambda context: _of(context, status="processing"), state=Status.GENERATING
    ),
    "POST /api/auth/video/status": Route(
        rules.reporter, 200, lambda context: _of(context, status="processing"), state=Status.GENERATING
    ),
    **{
        f"{method} /api/callback/{{token}}": Route(
            rules.report_url_holder, 200, lambda _: {"status": "processing"}, state=Status.GENERATING
        )
        for method in ("POST", "PUT")
    },
    "GET /api/auth/video/gallery": Route(rules.named_user, query=_named("userId")),
    "DELETE /api/auth/video/delete": Route(rules.owner, 200, _of),
    "GET /api/auth/video/{videoId}": Route(rules.owner),
    "PATCH /api/auth/video/{videoId}": Route(rules.owner, 200, lambda _: {"title": "Another"}),
    "GET /api/auth/video/{videoId}/download": Route(rules.owner, 302),
    "GET /api/auth/video/{videoId}/thumbnail": Route(rules.owner, 302),
    "POST /api/auth/video/{videoId}/retry": Route(rules.owner, state=Status.FAILED),
    "POST /api/auth/video/{videoId}/cancel": Route(rules.owner, state=Status.GENERATING),
    "GET /api/auth/video/{videoId}/source": Route(rules.sharer, state=Status.FAILED),
    "PUT /api/auth/video/{videoId}/source": Route(
        rules.owner, 200, lambda context: {"videoUrl": context.source_url}, state=Status.FAILED
    ),
    "GET /api/auth/video/{videoId}/secret-key": Route(rules.sharer),
    "POST /api/auth/video/{videoId}/secret-key/rotate": Route(rules.owner),
    "GET /api/auth/video/{videoId}/share": Route(rules.sharer),
    "POST /api/auth/video/{videoId}/share": Route(rules.owner, 200, lambda _: {"mostViews": 3}),
    "DELETE /api/auth/video/{videoId}/share": Route(rules.owner),
    "GET /api/share/{videoId}/download": Route(rules.key_holder, 302, query=_key),
    "GET /api/share/{videoId}/thumbnail": Route(rules.key_holder, 302, query=_key),
    "GET /api/admin/videos": Route(rules.admins),
    "DELETE /api/admin/videos": Route(rules.admins, 200, lambda context: {"videoIds": [context.me.video_id]}),
    "POST /api/admin/videos/{videoId}/rescue": Route(
        rules.admins, 200, lambda context: {"videoUrl": context.source_url}, state=Status.FAILED
    ),
    "GET /api/admin/events": Route(rules.admins),
    "GET /api/admin/stats": Route(rules.admins),
    "GET /api/admin/deliveries": Route(rules.admins),
    "POST /api/admin/deliveries/{deliveryId}/field": Route(
        rules.admins, 400, lambda _: {"field": "movie.url"}
    ),
    "POST /api/admin/deliveries/{deliveryId}/replay": Route(rules.admins, state=Status.GENERATING),
    "GET /api/admin/users": Route(rules.admins),
    "PATCH /api/admin/users/{userId}": Route(rules.admins, 200, lambda _: {"quotaBytes": 7}),
    "DELETE /api/admin/users/{userId}/sessions": Route(rules.admins),
    "POST /api/admin/users/{userId}/reset-link": Route(rules.admins),
    "POST /api/admin/invitations": Route(rules.admins, 201, lambda _: {}),
    "GET /api/auth/avatars": Route(rules.signed_in),
    "GET /api/auth/avatars/{avatarId}/picture": Route(rules.signed_in),
    "POST /api/admin/avatars": Route(rules.admins, 201, lambda _: {"name": "Bea", "generatorId": "bea"}),
    "PUT /api/admin/avatars/order": Route(rules.admins, 200, lambda _: {"avatarIds": [AVATAR_ID]}),
    "PATCH /api/admin/avatars/{avatarId}": Route(rules.admins, 200, lambda _: {"name": "Bea"}),
    "DELETE /api/admin/avatars/{avatarId}": Route(rules.admins),
    "PUT /api/admin/avatars/{avatarId}/picture": Route(rules.admins, raw=PICTURE),
    "DELETE /api/admin/avatars/{avatarId}/picture": Route(rules.admins),
    "GET /api/admin/reconcile": Route(rules.admins),
    "POST /api/admin/reconcile": Route(rules.admins),
    "GET /healthz": Route(rules.anyone),
    "GET /readyz": Route(rules.anyone),
    "GET /metrics": Route(rules.monitoring),
}


def request_of(name: str, context: RequestContext, *, is_page: bool) -> dict[str, Any]:
    """The arguments of httpx's ``request``."""
    route = ROUTES[name]
    method, path = name.removesuffix(FORM).split(" ")
    body = route.body(context) if route.body else None
    return {
        "method": method,
        "url": path.format_map(context.named.by_name),
        "params": route.query(context) if route.query else None,
        **({"content": route.raw} if route.raw else {}),
        **({"data": body or {"nothing": ""}} if is_page else {"json": body} if body is not None else {}),
    }
