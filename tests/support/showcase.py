"""An installation with data for every state of the pages, for the screenshots and the accessibility checks."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from sqlmodel import select

from tests.support.app import RunningApp, running_app
from tests.support.broken import broken_app
from tests.support.generator import Generator, running_generator
from tests.support.log_grep import remember
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour
from tests.support.seeding import database_of, seed
from tests.support.waiting import HANG_SECONDS, eventually
from videovault import security
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.models import Status, TestOrder, User, WebhookCall
from videovault.services.admin import test_order
from videovault.services.admin.test_order import OrderStepView

PASSWORD = "correct horse battery"
OWNER, NEWCOMER, BAKER = "anna@brot.example", "ben@brot.example", "carla@brot.example"
TOPICS = (
    "Why we bake our bread at night",
    "Three things that make sourdough rise",
    "Meet the people behind the counter",
)
WORKING, STORING, FAILED = (
    "What our oven does at night",
    "A walk through the bakery",
    "Our autumn opening hours",
)
CANCELLED, DRAFT, LOST = "Summer rolls", "Bread for people in a hurry", "The first loaf"
SCRIPT = {
    "hook": "Most people hurry their bread. Here is what a night of patience does to it.",
    "body": "Flour, water, salt and eighteen hours. The dough rests while the street sleeps, and the crust "
    "gets the colour that no short cut gives.",
    "conclusion": "Come by tomorrow at seven. Brot & Söhne, on the corner.",
}
AT_ONCE = {"Prefer": "respond-async"}


@dataclass
class Showcase:
    """``ids`` are the owner's videos by title, ``link`` is the share link of the first one.

    ``made`` are the URLs of the videos that the generator has finished, by video ID; all others stay in progress.
    ``broken`` is another installation in which most checks fail; it starts on first use.
    """

    app: RunningApp
    generator: Generator
    ids: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    link: str = ""
    until_end: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def broken(self) -> RunningApp:
        app = self.until_end.enter_context(broken_app(self.app, self.generator))
        signed_up(app, OWNER).close()
        return app


@contextmanager
def running_showcase(folder: Path, films: Mapping[str, bytes]) -> Iterator[Showcase]:
    """``films`` has a video for each of TOPICS. Once it runs, the script webhook answers no more requests."""
    with MisbehavingServer() as source, running_generator(b"") as generator:
        generator.script = SCRIPT
        webhooks = {
            "SCRIPT_WEBHOOK_URL": f"{generator.url}/script",
            "VIDEO_WEBHOOK_URL": f"{generator.url}/video",
            "WEBHOOK_TIMEOUT_SECONDS": "3600",  # requests that are held stay open
            "SOURCE_IDLE_SECONDS": "3600",
        }
        with running_app(folder, SOURCE_ALLOW_HOSTS="127.0.0.1", RATE_LIMITS="off", **webhooks) as app:
            showcase = Showcase(app, generator)
            generator.choose = lambda order: "direct" if order["videoId"] in showcase.made else "processing"
            generator.address = showcase.made.__getitem__
            _fill(showcase, source, films)
            generator.script_mode = "held"
            with showcase.until_end:
                yield showcase
            generator.release.set()


def _fill(showcase: Showcase, source: MisbehavingServer, films: Mapping[str, bytes]) -> None:
    remember(PASSWORD)
    with signed_up(showcase.app, OWNER) as owner:
        for number, title in enumerate(TOPICS):
            _make(showcase, owner, title, source.serve(f"/{number}.mp4", ServerBehaviour(body=films[title])))
        _make(showcase, owner, FAILED, source.serve("/gone.mp4", ServerBehaviour(status=410, body=b"gone")))
        for title in (CANCELLED, WORKING):
            _make(showcase, owner, title)
        owner.post(f"/api/auth/video/{showcase.ids[CANCELLED]}/cancel")
        _draft(showcase, owner, DRAFT)
        _wait_until_processed(showcase, owner, (*TOPICS, FAILED))
        stalling = ServerBehaviour(size=300 * MIB, stall_after=40 * MIB, ranges=False)
        _store(showcase, owner, STORING, source.serve("/walk.mp4", stalling))
        showcase.link = _data(owner.get(f"/api/auth/video/{showcase.ids[TOPICS[0]]}/secret-key"))["url"]
    for email in (NEWCOMER, BAKER):
        signed_up(showcase.app, email).close()
    _add_test_order(showcase.app)
    seed(
        showcase.app,
        BAKER,
        [{"title": LOST, "size": 41_000_000}, {"title": "Old news", "status": Status.DRAFT}],
    )


def signed_up(app: RunningApp, email: str) -> httpx.Client:
    """An API client for a new account."""
    account = {"email": email, "password": PASSWORD}
    token = _data(httpx.post(f"{app.url}/api/auth/register", json=account))["token"]
    remember(token)
    return httpx.Client(base_url=app.url, headers={"Authorization": f"Bearer {token}"}, timeout=HANG_SECONDS)


def _store(showcase: Showcase, owner: httpx.Client, title: str, url: str) -> None:
    body = {"videoUrl": url, "userEmail": OWNER, "title": title}
    answer = owner.post("/api/auth/video/download", json=body, headers=AT_ONCE)
    showcase.ids[title] = _data(answer)["videoId"]


def _make(showcase: Showcase, owner: httpx.Client, topic: str, url: str = "") -> None:
    """The generator has finished it at ``url``, or stays in progress without one."""
    brief, draft = _draft(showcase, owner, topic)
    if url:
        showcase.made[draft["videoId"]] = url
    script = {part: draft[part] for part in ("videoId", "hook", "body", "conclusion")}
    _data(owner.post("/api/auth/create-video/generate-video", json=brief | script, headers=AT_ONCE))


def _draft(showcase: Showcase, owner: httpx.Client, topic: str) -> tuple[dict[str, str], dict[str, Any]]:
    brief = {"topic": topic, "company_name": "Brot & Söhne", "social_handles": "@brotundsoehne"}
    brief |= {"license": "", "avatar": "Maya", "email": OWNER}
    draft = _data(owner.post("/api/auth/create-video", json=brief))
    showcase.ids[topic] = draft["videoId"]
    return brief, draft


def _add_test_order(app: RunningApp) -> None:
    """A finished test order, and an earlier response that was not understood."""
    steps = [
        OrderStepView(
            name="Script webhook",
            sent=json.dumps(test_order.BRIEF),
            answer=json.dumps(SCRIPT, ensure_ascii=False),
            http_status=200,
            read="A script with hook, body and conclusion.",
        ),
        OrderStepView(
            name="Video webhook",
            sent=json.dumps(SCRIPT, ensure_ascii=False),
            answer='{"error": null, "data": {"video_id": "0b7c"}}',
            http_status=200,
            read="Accepted; the report is waited for.",
        ),
        OrderStepView(
            name="Report",
            sent='{"event_type": "avatar_video.success", "event_data": {"url": "https://files2.heygen.ai/…"}}',
            read="Finished; the video is at https://files2.heygen.ai/…",
        ),
    ]
    output = {"output": {"wide": "https://cdn.example/1.mp4", "tall": "https://cdn.example/2.mp4"}}
    with database_of(app), transaction() as session:
        owner = session.exec(select(User).where(User.email == OWNER)).one()
        session.add(
            TestOrder(
                id=security.new_video_id(),
                user_id=owner.id,
                ended_at=utcnow(),
                steps=[step.model_dump() for step in steps],
            )
        )
        session.add(
            WebhookCall(
                direction="out",
                kind="video",
                at=owner.created_at,
                verdict="unread",
                why="It names several addresses that may be the video.",
                answer=json.dumps(output),
            )
        )


def _wait_until_processed(showcase: Showcase, owner: httpx.Client, titles: tuple[str, ...]) -> None:
    def is_processing(title: str) -> bool:
        status: str = _data(owner.get(f"/api/auth/video/{showcase.ids[title]}"))["status"]
        return status == "processing"

    for title in titles:
        eventually(lambda: not is_processing(title), lambda: f"{title} is still processing", pause=0.2)  # noqa: B023 - within this iteration


def _data(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found
