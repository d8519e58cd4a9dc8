"""What the admin's tables show: the services' views with every figure put into words."""

from collections.abc import Sequence
from urllib.parse import urlencode

from videovault.services.accounts.views import AdminUserView
from videovault.services.admin.checks import CheckView, StepView
from videovault.services.admin.test_order import OrderStepView
from videovault.services.core.views import AdminVideoView, iso_utc
from videovault.services.generation.webhook_log import WebhookCallView
from videovault.state import wording
from videovault.state.view_models import Card, ViewModel


class VideoRow(ViewModel):
    """A video in the table; ``is_stuck``: it can be given the address of its finished file."""

    card: Card
    owner: str
    has_poster: bool
    is_stuck: bool

    @classmethod
    def of(cls, found: AdminVideoView) -> "VideoRow":
        video = found.video
        waits = video.progress is not None and video.progress.stage == "generating"
        return cls(
            card=Card.of(video),
            owner=found.owner_email,
            has_poster=video.status == "ready" and found.has_poster,
            is_stuck=waits or video.status == "failed",
        )


class ActionResult(ViewModel):
    """What became of one of several videos that something was to be done to."""

    video_id: str
    title: str
    is_done: bool
    message: str


class UserRow(ViewModel):
    """An account; ``quota`` in GB as the form shows it, ``quota_kind`` which of its choices, ``activity`` where it is."""

    user_id: str = ""
    email: str = ""
    name: str = ""
    is_admin: bool = False
    is_active: bool = True
    videos: str = ""
    storage: str = ""
    percent: int = -1
    quota_kind: str = "default"
    quota: str = ""
    seen_at: str = ""
    activity: str = ""

    @classmethod
    def of(cls, view: AdminUserView) -> "UserRow":
        used, most = view.storage_bytes, view.quota_bytes
        kind = "default" if not view.has_own_quota else "own" if most else "none"
        return cls(
            user_id=view.user_id,
            email=view.email,
            name=view.name,
            is_admin=view.is_admin,
            is_active=view.is_active,
            videos=wording.videos(view.video_count),
            storage=f"{wording.size(used)} of {wording.size(most)}" if most else wording.size(used),
            percent=min(100, used * 100 // most) if most else -1,
            quota_kind=kind,
            quota=f"{most / wording.GB:g}" if kind == "own" else "",
            seen_at=iso_utc(view.last_seen_at) if view.last_seen_at else "",
            activity="/admin/activity?" + urlencode({"person": view.email}),
        )


class Step(ViewModel):
    name: str
    is_done: bool


class Check(ViewModel):
    """A part of the installation; ``state`` is empty while it is being looked at."""

    name: str
    title: str
    state: str = ""
    word: str = "Checking"
    found: str = ""
    trouble: str = ""
    mend: str = ""
    mend_parts: list[str] = []
    steps: list[Step] = []
    details: list[str] = []

    @classmethod
    def of(cls, view: CheckView) -> "Check":
        return cls(
            name=view.name,
            title=view.title,
            state=view.state,
            word=wording.STATES[view.state],
            found=view.found,
            trouble=view.problem,
            mend=view.advice,
            mend_parts=wording.code_apart(view.advice),
            steps=_tried(view.steps),
            details=view.details,
        )


def _tried(steps: Sequence[StepView]) -> list[Step]:
    """Up to the one that failed: nothing after it was tried."""
    done = [step for step in steps if step.is_done]
    return [Step(name=step.name, is_done=step.is_done) for step in steps[: len(done) + 1]]


class OrderStep(ViewModel):
    """A call of the test order; ``is_report``: one that reached us."""

    title: str
    read: str
    sent: str = ""
    answer: str = ""
    is_bad: bool = False
    is_report: bool = False

    @classmethod
    def of(cls, view: OrderStepView) -> "OrderStep":
        status = f" (HTTP {view.http_status})" if view.http_status else ""
        return cls(
            title=f"{view.name}{status}",
            read=view.read,
            sent=view.sent,
            answer=view.answer,
            is_bad=view.is_bad,
            is_report=view.name == "Report",
        )


class FieldChoice(ViewModel):
    """An address in an answer that was not understood."""

    path: str
    address: str


class WebhookCall(ViewModel):
    """A webhook call in the inbox; ``headers`` is one line each."""

    delivery_id: str
    at: str
    title: str
    video_id: str
    video: str
    address: str
    verdict: str
    is_bad: bool
    why: str
    headers: str
    body: str
    answer: str
    can_be_replayed: bool
    choices: list[FieldChoice] = []

    @classmethod
    def of(cls, view: WebhookCallView) -> "WebhookCall":
        return cls(
            delivery_id=view.id,
            at=iso_utc(view.at),
            title=wording.UNPROVEN if view.address else wording.CALLS[view.direction, view.kind],
            video_id=view.video_id or "",
            video=view.title,
            address=view.address,
            verdict=wording.VERDICTS.get(view.verdict, view.verdict),
            is_bad=view.verdict in ("refused", "unread"),
            why=view.why,
            headers="\n".join(f"{name}: {value}" for name, value in view.headers.items()),
            body=view.body,
            answer=view.answer,
            can_be_replayed=view.can_be_replayed,
            choices=[FieldChoice(path=field.path, address=field.address) for field in view.fields],
        )
