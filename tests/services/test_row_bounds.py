"""What callers can write without end has a bound, and the newest is kept."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from tests.fixtures.installation import Configure
from videovault.db import reading, transaction
from videovault.errors import NotSignedIn
from videovault.models import Channel, Event, OutboxMessage, Session, now
from videovault.services import accounts, activity, outbox, pipeline, resets, sessions
from videovault.services.access import Caller

ANNA, PASSWORD = "anna@example.com", "correct horse"


def test_a_user_has_so_many_sessions(anna: Caller, bert: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    tokens = [accounts.login(ANNA, PASSWORD).token for _ in range(4)]
    with pytest.raises(NotSignedIn):
        accounts.authenticate(tokens[0])
    assert {accounts.authenticate(token).user_id for token in tokens[1:]} == {anna.user_id}
    with reading() as session:
        assert len(session.exec(select(Session).where(Session.user_id == bert.user_id)).all()) == 1


def test_events_that_need_no_account_are_bounded_by_kind(
    anna: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of one kind pushes out neither another kind nor what people with accounts did."""
    monkeypatch.setattr(activity, "MOST_WITHOUT_ACCOUNT", 4)
    with transaction() as session:
        session.add(Event(kind="share_opened", video_id="video_1"))
        session.add(Event(kind="renamed", actor_id=anna.user_id))
        session.flush()
        session.add_all(Event(kind="login_failed", detail={"number": number}) for number in range(10))
    pipeline.tidy()
    with reading() as session:
        kept = session.exec(select(Event).order_by(col(Event.id))).all()
    failed = [event.detail["number"] for event in kept if event.kind == "login_failed"]
    assert failed == [6, 7, 8, 9]
    assert {"share_opened", "renamed", "register"} <= {event.kind for event in kept}


def test_all_events_together_are_bounded(anna: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "MOST", 5)
    with transaction() as session:
        session.add_all(Event(kind="renamed", actor_id=anna.user_id) for _ in range(20))
    pipeline.tidy()
    with reading() as session:
        assert len(session.exec(select(Event)).all()) == 5


def test_letters_to_nobody_go_with_the_next_purge(anna: Caller, configure: Configure) -> None:
    del anna
    configure(SMTP_URL="smtp://127.0.0.1:9", MAIL_FROM="videos@example.com")
    resets.forgot("nobody@example.com")
    resets.forgot(ANNA)
    with transaction() as session:
        given_up = letter("msg_given_up", last_error="refused")
        delivered = letter("msg_delivered", delivered_at=now())
        session.add_all([given_up, delivered])
        session.flush()
        given_up.next_attempt_at = delivered.next_attempt_at = None
    pipeline.tidy()
    with reading() as session:
        kept = session.exec(select(OutboxMessage)).all()
    assert {message.last_error for message in kept if not message.next_attempt_at} == {"refused", None}
    assert len(kept) == 3


def test_the_outbox_is_bounded(anna: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    del anna
    monkeypatch.setattr(outbox, "MOST", 2)
    with transaction() as session:
        session.add_all(
            letter(f"msg_{number}", created_at=now() - timedelta(minutes=number)) for number in range(5)
        )
    pipeline.tidy()
    with reading() as session:
        assert set(session.exec(select(OutboxMessage.id))) == {"msg_0", "msg_1"}


def letter(message_id: str, **values: Any) -> OutboxMessage:
    return OutboxMessage(id=message_id, kind="mail", channel=Channel.MAIL, video_id="", payload={}, **values)
