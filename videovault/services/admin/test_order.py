"""Test orders: a sample order to both webhooks that shows the generator's replies and how they are read.

It is marked by ``"test": true``, makes no video and counts against no budget. There is one at a time, which waits for
its report until ``DEADLINE``.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from videovault import security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import keep_newest, reading, transaction
from videovault.errors import Conflict, NotFound, WebhookError
from videovault.gateways import webhooks
from videovault.gateways.webhook_reply import Script, VideoReply
from videovault.gateways.webhooks import Exchange, ExchangeRecorder
from videovault.models import Event, Status, TestOrder, Video
from videovault.services.core import rate_limits
from videovault.services.core.access import Caller, check_admin
from videovault.services.core.views import Timestamp, View
from videovault.services.generation import avatars, callbacks, orders, webhook_log
from videovault.services.generation.result_field import script_result_field, video_result_field

DEADLINE = timedelta(minutes=10)
MAX_ORDERS = 5  # rows in the table
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


class OrderStepView(View):
    """An outgoing or incoming call, and how it was read. URLs are cut to their host."""

    name: str
    sent: str = ""
    answer: str = ""
    http_status: int | None = None
    read: str
    is_bad: bool = False


class TestOrderView(View):
    """``is_over``: no more reports are awaited."""

    __test__ = False  # pytest would collect it by its name

    id: str
    started_at: Timestamp
    steps: list[OrderStepView]
    is_over: bool

    @classmethod
    def of(cls, row: TestOrder) -> "TestOrderView":
        steps = [OrderStepView.model_validate(step) for step in row.steps]
        is_late = row.ended_at is None and row.started_at + DEADLINE < utcnow()
        if is_late:
            steps.append(OrderStepView(name="Report", read=TIMED_OUT, is_bad=True))
        return cls(
            id=row.id, started_at=row.started_at, steps=steps, is_over=is_late or row.ended_at is not None
        )


def latest(caller: Caller) -> TestOrderView | None:
    """The last test order. Raises Forbidden for non-admins."""
    check_admin(caller)
    with reading() as session:
        row = session.exec(select(TestOrder).order_by(col(TestOrder.started_at).desc()).limit(1)).first()
        return TestOrderView.of(row) if row else None


def start(caller: Caller) -> TestOrderView:
    """Create a test order for ``send``. Raises Forbidden, RateLimited, and Conflict while another one is running."""
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
    """Call both webhooks as for a video, each within its own timeout, and record the results."""
    check_admin(caller)
    # Generators refuse unknown avatar IDs, so the order names one of the form's.
    brief = {**BRIEF, "avatar": avatars.list_avatars(caller).avatars[0].generator_id}
    script = _ask_for_script(order_id, brief, caller.email) if settings().script_webhook else Script()
    parts = {part: getattr(script, part) or text for part, text in SCRIPT.items()}
    sample = Video(
        id=order_id, owner_id=caller.user_id, title="", status=Status.GENERATING, sealed_key="", attempt=1,
        **(brief | parts),
    )  # fmt: skip
    payload: dict[str, Any] = {**orders.webhook_payload(sample, caller.email), "test": True}

    def call(record: ExchangeRecorder) -> VideoReply:
        key = f"{order_id}:1"
        return webhooks.connected().generate(
            payload, idempotency_key=key, record=record, field=video_result_field()
        )

    reply = _step(order_id, "Video webhook", call, _describe)
    if (
        reply is None
        or reply.state in ("failed", "rejected")
        or (reply.state == "ready" and not reply.problem)
    ):
        with transaction() as session:
            _end(_locked(session, order_id))


def report(token: str, body: bytes, reply: VideoReply) -> bool:
    """Record a report on a test order; False if the token is not for a test order."""
    order_id = callbacks.video_id_of_token(token)
    with reading() as session:
        if not order_id or session.get(TestOrder, order_id) is None:
            return False
    with transaction() as session:
        row = _locked(session, order_id)
        if len(row.steps) < MAX_REPORTS:
            step = OrderStepView(
                name="Report", sent=_shown(body), read=_describe(reply), is_bad=_is_bad(reply)
            )
            row.steps = [*row.steps, step.model_dump()]
        if reply.state in ("ready", "failed", "rejected"):
            _end(row)
    return True


def _ask_for_script(order_id: str, brief: Mapping[str, str], email: str) -> Script:
    payload = {**brief, "email": email, "test": True}

    def call(record: ExchangeRecorder) -> Script:
        return webhooks.connected().write_script(payload, record=record, field=script_result_field())

    return _step(order_id, "Script webhook", call, _describe_script) or Script()


def _step(
    order_id: str, name: str, call: Callable[[ExchangeRecorder], Any], describe: Callable[[Any], str]
) -> Any:
    """The result of ``call``, None if it failed; recorded together with the last exchange."""
    exchanges: list[Exchange] = []
    try:
        result = call(exchanges.append)
        read, is_bad = describe(result), isinstance(result, VideoReply) and _is_bad(result)
    except WebhookError as error:
        result, read, is_bad = None, error.public_message, True
    last = exchanges[-1] if exchanges else Exchange({}, b"")
    step = OrderStepView(
        name=name,
        sent=_shown(last.body),
        answer=_shown(last.answer),
        http_status=last.status,
        read=read,
        is_bad=is_bad,
    )
    with transaction() as session:
        row = _locked(session, order_id)
        row.steps = [*row.steps, step.model_dump()]
    return result


def _end(row: TestOrder) -> None:
    row.ended_at = row.ended_at or utcnow()


def _shown(body: bytes) -> str:
    return webhook_log.strip_url_paths(webhook_log.redacted_body(body))


def _locked(session: Session, order_id: str) -> TestOrder:
    row = session.get(TestOrder, order_id, with_for_update=True)
    if row is None:
        raise NotFound("There is no such test order.")
    return row


def _is_bad(reply: VideoReply) -> bool:
    return reply.state in ("failed", "rejected") or bool(reply.problem)


def _describe(reply: VideoReply) -> str:
    if reply.problem:
        return f"Not understood. {reply.problem}"
    if reply.is_video:
        return "Finished; the answer is the video itself, which is not kept for a test order."
    url = webhook_log.strip_url_paths(reply.video_url)
    words = {
        "ready": f"Finished; the video is at {url}",
        "processing": f"Under way; the video will be at {url}"
        if url
        else "Accepted; the report is waited for.",
        "failed": f"Failed: {reply.message or 'it gives no reason.'}",
        "rejected": f"Rejected: {reply.message or 'it gives no reason.'}",
    }
    return words[reply.state]


def _describe_script(script: Script) -> str:
    parts: Mapping[str, str] = {part: getattr(script, part) for part in SCRIPT}
    missing = [part for part, text in parts.items() if not text]
    return (
        f"A script without {' and '.join(missing)}."
        if missing
        else "A script with hook, body and conclusion."
    )
