"""A sample order sent to both webhooks, to see what the generator answers and what is read from it.

It is marked by ``"test": true``, makes no video and counts against no budget. There is one at a time, and its report is
waited for until ``DEADLINE``.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from videovault import security
from videovault.config import settings
from videovault.db import keep_newest, reading, transaction
from videovault.errors import Conflict, NotFound, WebhookError
from videovault.gateways import webhooks
from videovault.gateways.webhook_reply import Generation, Script
from videovault.gateways.webhooks import Exchange
from videovault.models import Event, Status, TestOrder, Video, utcnow
from videovault.services.admin import rescue as admin_webhook_log
from videovault.services.core import rate_limits
from videovault.services.core.access import Caller, check_admin
from videovault.services.core.views import Timestamp, View
from videovault.services.generation import avatars, callbacks, orders
from videovault.services.generation import webhook_log as generation_webhook_log

DEADLINE = timedelta(minutes=10)
MAX_ORDERS = 5  # kept
MAX_REPORTS = 20  # of one order
BRIEF = {
    "topic": "A test order of VideoVault: one sentence is enough.",
    "company_name": "VideoVault test",
    "social_handles": "@videovault",
    "license": "",
}
SCRIPT = {
    "hook": "This is a test order.",
    "body": "VideoVault checks that it reads your generator's answers.",
    "conclusion": "You can discard this video.",
}
TIMED_OUT = f"No report came within {int(DEADLINE.total_seconds() // 60)} minutes."


class StepView(View):
    """A call that was made or came in: what was said, and what was read from it. Addresses without their paths."""

    name: str
    sent: str = ""
    answer: str = ""
    http_status: int | None = None
    read: str
    is_bad: bool = False


class TestOrderView(View):
    """``is_over``: nothing more is waited for."""

    __test__ = False  # pytest takes the name for a test's

    id: str
    started_at: Timestamp
    steps: list[StepView]
    is_over: bool

    @classmethod
    def of(cls, row: TestOrder) -> "TestOrderView":
        steps = [StepView.model_validate(step) for step in row.steps]
        is_late = row.ended_at is None and row.started_at + DEADLINE < utcnow()
        if is_late:
            steps.append(StepView(name="Report", read=TIMED_OUT, is_bad=True))
        return cls(
            id=row.id, started_at=row.started_at, steps=steps, is_over=is_late or row.ended_at is not None
        )


def latest(caller: Caller) -> TestOrderView | None:
    """The last test order. Raises Forbidden for anyone but admins."""
    check_admin(caller)
    with reading() as session:
        row = session.exec(select(TestOrder).order_by(col(TestOrder.started_at).desc()).limit(1)).first()
        return TestOrderView.of(row) if row else None


def start(caller: Caller) -> TestOrderView:
    """Note a test order, which ``send`` sends. Raises Forbidden, RateLimited, and Conflict while one is under way."""
    check_admin(caller)
    if not settings().video_webhook:
        raise Conflict("No video generator is set up. Set VIDEO_WEBHOOK_URL first.")
    running = latest(caller)
    if running and not running.is_over:
        raise Conflict("A test order is under way. Wait for its end, at most ten minutes.")
    rate_limits.check(rate_limits.TEST_ORDERS, "test orders", "")
    with transaction() as session:
        row = TestOrder(id=security.new_video_id(), user_id=caller.user_id)
        session.add(row)
        session.add(Event(kind="test_ordered", actor_id=caller.user_id))
        session.flush()
        keep_newest(session, TestOrder.started_at, MAX_ORDERS)
        return TestOrderView.of(row)


def send(caller: Caller, order_id: str) -> None:
    """Call both webhooks as for a video, each within its own timeout, and note what came of it."""
    check_admin(caller)
    # A generator refuses an ID that it does not know, so the order names one that the form offers.
    brief = {**BRIEF, "avatar": avatars.list_avatars(caller).avatars[0].generator_id}
    script = _ask_for_script(order_id, brief, caller.email) if settings().script_webhook else Script()
    parts = {part: getattr(script, part) or text for part, text in SCRIPT.items()}
    sample = Video(
        id=order_id, owner_id=caller.user_id, title="", status=Status.GENERATING, sealed_key="", attempt=1,
        **(brief | parts),
    )  # fmt: skip
    payload: dict[str, Any] = {**orders.webhook_payload(sample, caller.email), "test": True}

    def ask(note: Callable[[Exchange], object]) -> Generation:
        key = f"{order_id}:1"
        return webhooks.connected().generate(
            payload, idempotency_key=key, note=note, field=generation_webhook_log.video_result_field()
        )

    said = _step(order_id, "Video webhook", ask, _in_words)
    if said is None or said.state in ("failed", "rejected") or (said.state == "ready" and not said.problem):
        _end(order_id)


def report(token: str, body: bytes, said: Generation) -> bool:
    """Note a report on a test order; False where the token is for none."""
    order_id = callbacks.video_id_of_token(token)
    with reading() as session:
        if not order_id or session.get(TestOrder, order_id) is None:
            return False
    with transaction() as session:
        row = _locked(session, order_id)
        if len(row.steps) < MAX_REPORTS:
            shown = admin_webhook_log.without_paths(generation_webhook_log.redacted_body(body))
            step = StepView(name="Report", sent=shown, read=_in_words(said), is_bad=_is_bad(said))
            row.steps = [*row.steps, step.model_dump()]
        if said.state in ("ready", "failed", "rejected"):
            row.ended_at = row.ended_at or utcnow()
        session.add(row)
    return True


def _ask_for_script(order_id: str, brief: Mapping[str, str], email: str) -> Script:
    payload = {**brief, "email": email, "test": True}

    def ask(note: Callable[[Exchange], object]) -> Script:
        return webhooks.connected().write_script(
            payload, note=note, field=generation_webhook_log.script_result_field()
        )

    return _step(order_id, "Script webhook", ask, _script_in_words) or Script()


def _step(
    order_id: str,
    name: str,
    ask: Callable[[Callable[[Exchange], object]], Any],
    in_words: Callable[[Any], str],
) -> Any:
    """What ``ask`` gave, None if it failed; either way noted with the last call that was made for it."""
    heard: list[Exchange] = []
    try:
        said = ask(heard.append)
        read, is_bad = in_words(said), isinstance(said, Generation) and _is_bad(said)
    except WebhookError as error:
        said, read, is_bad = None, error.public_message, True
    last = heard[-1] if heard else Exchange({}, b"")
    step = StepView(
        name=name,
        sent=admin_webhook_log.without_paths(generation_webhook_log.redacted_body(last.body)),
        answer=admin_webhook_log.without_paths(generation_webhook_log.redacted_body(last.answer)),
        http_status=last.status,
        read=read,
        is_bad=is_bad,
    )
    with transaction() as session:
        row = _locked(session, order_id)
        row.steps = [*row.steps, step.model_dump()]
        session.add(row)
    return said


def _end(order_id: str) -> None:
    with transaction() as session:
        row = _locked(session, order_id)
        row.ended_at = row.ended_at or utcnow()
        session.add(row)


def _locked(session: Session, order_id: str) -> TestOrder:
    row = session.get(TestOrder, order_id, with_for_update=True)
    if row is None:
        raise NotFound("There is no such test order.")
    return row


def _is_bad(said: Generation) -> bool:
    return said.state in ("failed", "rejected") or bool(said.problem)


def _in_words(said: Generation) -> str:
    if said.problem:
        return f"Not understood. {said.problem}"
    if said.is_video:
        return "Finished; the answer is the video itself, which is not kept for a test order."
    url = admin_webhook_log.without_paths(said.video_url)
    words = {
        "ready": f"Finished; the video is at {url}",
        "processing": f"Under way; the video will be at {url}"
        if url
        else "Accepted; the report is waited for.",
        "failed": f"Failed: {said.message or 'it gives no reason.'}",
        "rejected": f"Rejected: {said.message or 'it gives no reason.'}",
    }
    return words[said.state]


def _script_in_words(script: Script) -> str:
    parts: Mapping[str, str] = {part: getattr(script, part) for part in SCRIPT}
    missing = [part for part, text in parts.items() if not text]
    return (
        f"A script without {' and '.join(missing)}."
        if missing
        else "A script with hook, body and conclusion."
    )
