"""The actions of users, generators, workers and the clock on a video; refusals are expected."""

from collections import deque
from contextlib import suppress
from datetime import timedelta

from hypothesis.stateful import RuleBasedStateMachine
from sqlmodel import col, update

from tests.services.any_order import invariants
from tests.services.any_order.fault_points import ORDERING, Act, Crash
from tests.services.any_order.shared_installation import SharedInstallation
from tests.services.conftest import SCRIPT
from tests.support.generator import Mode
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.errors import Conflict, StorageError, VideoNotFound
from videovault.models import Video
from videovault.services.admin import rescue
from videovault.services.core.views import PROCESSING
from videovault.services.generation import callbacks, orders
from videovault.services.generation.callbacks import Report
from videovault.services.maintenance import repair
from videovault.services.transfer import pipeline
from videovault.services.videos import deletion, gallery

LONG_AGO = timedelta(minutes=1)
REFUSALS = (Conflict, VideoNotFound)


class Actions(RuleBasedStateMachine):
    """``_videos`` are the ids in order of creation, ``_queue`` are the ids enqueued for workers."""

    shared: SharedInstallation

    def __init__(self) -> None:
        super().__init__()
        self.shared.emptied()
        self.shared.count["runs"] += 1
        self._videos: list[str] = []
        self._queue: deque[str] = deque()

    def _video(self, number: int) -> str:
        return self._videos[number % len(self._videos)]

    def _url(self, path: str) -> str:
        return self.shared.origin + path

    def _work(self) -> None:
        video_id = self._queue.popleft() if self._queue else self._videos[0]
        following = pipeline.produce(video_id, stopping=lambda: False)
        if following:
            self._queue.append(following)

    def _work_disturbed(self, mode: Mode, point: str, path: str, act: Act) -> None:
        """Work on a waiting video; if there is none, request one or import ``path`` first."""
        if not any(video.status in PROCESSING for video in invariants.rows().values()):
            self._ensure_work_for(point, path)

        def acted(video_id: str) -> None:
            self.shared.count[point] += 1
            act(video_id)

        self.shared.generator.mode = mode
        with self.shared.points.armed(point, acted), suppress(Crash):
            self._work()

    def _ensure_work_for(self, point: str, path: str) -> None:
        if point in ORDERING:
            self._request("Look")
        else:
            self._store("/page.mp4" if point == "about to clean up" else path)

    def _disturbances(self, point: str) -> dict[str, Act]:
        """What others may do at this point; a worker that calls a generator needs no S3."""
        acts = (
            *(() if point in ORDERING else (self._meets_an_s3_that_refuses,)),
            self._cancel,
            self._delete,
            self._is_taken_over,
            self._is_cancelled_and_tried_again,
            self._is_cancelled_and_ordered_again,
            self._is_cancelled_and_rescued,
            self._is_reported_ready,
            self._is_reported_failed,
        )
        return {act.__name__: act for act in acts}

    def _request(self, hook: str) -> None:
        view = orders.request(self.shared.anna, {**SCRIPT, "hook": hook}, enqueue=self._queue.append)
        self._videos.append(view.video_id)

    def _store(self, path: str) -> None:
        anna = self.shared.anna
        view = gallery.store_link(anna, self._url(path), anna.email, enqueue=self._queue.append)
        self._videos.append(view.video_id)

    def _dies(self, _video_id: str) -> None:
        raise Crash

    def _cancel(self, video_id: str) -> None:
        with suppress(*REFUSALS):
            pipeline.cancel(self.shared.anna, video_id)

    def _delete(self, video_id: str) -> None:
        with suppress(StorageError, *REFUSALS):
            deletion.delete(self.shared.anna, video_id)

    def _try_again(self, video_id: str) -> None:
        with suppress(*REFUSALS):
            pipeline.retry(self.shared.anna, video_id, enqueue=self._queue.append)

    def _order_again(self, video_id: str, hook: str) -> None:
        with suppress(*REFUSALS):
            script = {**SCRIPT, "hook": hook}
            orders.request(self.shared.anna, script, video_id, enqueue=self._queue.append)

    def _rescue(self, video_id: str, path: str) -> None:
        with suppress(*REFUSALS):
            rescue.set_video_url(self.shared.anna, video_id, self._url(path), enqueue=self._queue.append)

    def _is_taken_over(self, video_id: str) -> None:
        self._lapse(video_id)
        repair.repair(enqueue=self._queue.append)
        self._work()

    def _is_cancelled_and_tried_again(self, video_id: str) -> None:
        self._cancel(video_id)
        self._try_again(video_id)

    def _is_cancelled_and_ordered_again(self, video_id: str) -> None:
        self._cancel(video_id)
        self._order_again(video_id, "Listen")

    def _is_cancelled_and_rescued(self, video_id: str) -> None:
        self._cancel(video_id)
        self._rescue(video_id, "/short.mp4")

    def _is_reported_ready(self, video_id: str) -> None:
        self._report_newest(video_id, "ready")

    def _is_reported_failed(self, video_id: str) -> None:
        self._report_newest(video_id, "failed")

    def _meets_an_s3_that_refuses(self, _video_id: str) -> None:
        raise StorageError("S3 refuses this.")

    def _report_newest(self, video_id: str, status: str) -> None:
        for order in self.shared.generator.requests[::-1]:
            if order["videoId"] == video_id:
                self._report(order, status, "/long.mp4")
                return

    def _report(self, order: dict[str, str], status: str, path: str) -> None:
        video_id = order["videoId"]
        url = self._url(path) if status == "ready" else ""
        report = Report(order["userId"], video_id, status, url)
        before = invariants.rows().get(video_id)
        with suppress(*REFUSALS):
            generator = callbacks.generator_caller(order["callbackToken"], video_id)
            outcome = callbacks.apply(generator, report, enqueue=self._queue.append)
            if before and order["hook"] != before.hook:
                assert (outcome.superseded, invariants.rows()[video_id]) == (True, before)

    def _lapse(self, video_id: str) -> None:
        self._age(video_id, "heartbeat_at")

    def _age_all(self) -> None:
        """Move all times of all videos one minute into the past."""
        with transaction() as session:
            for column in ("heartbeat_at", "deadline_at", "next_ask_at", "upload_kept_until", "updated_at"):
                is_set = col(getattr(Video, column)).is_not(None)
                session.exec(update(Video).where(is_set).values({column: utcnow() - LONG_AGO}))

    def _age(self, video_id: str, column: str) -> None:
        with transaction() as session:
            video = session.get(Video, video_id)
            if video and getattr(video, column):
                setattr(video, column, utcnow() - LONG_AGO)
