"""Named points at the gateways where a test kills a worker, or lets others act meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from videovault.gateways import media, source, storage, webhooks
from videovault.services.core.naming import POSTER_NAME, SIDECAR_NAME

ORDERING = ("about to order", "ordered, not recorded")
POINTS = (
    *ORDERING,
    "claimed, nothing fetched",
    "upload started, not recorded",
    "a part sent",
    "object complete, not ready",
    "poster stored, not ready",
    "ready, no sidecar",
    "about to clean up",
)
Act = Callable[[str], object]


class Crash(BaseException):
    """Kills the worker: no handler of the product may catch it."""


class Points:
    """At most one point is armed, once; its action gets the id of the video."""

    def __init__(self) -> None:
        self._armed: tuple[str, Act] | None = None

    @contextmanager
    def armed(self, point: str, act: Act) -> Iterator[None]:
        self._armed = (point, act)
        try:
            yield
        finally:
            self._armed = None

    def reach(self, point: str, video_id: str) -> None:
        if self._armed and self._armed[0] == point:
            act, self._armed = self._armed[1], None
            act(video_id)

    def watch(self, patch: pytest.MonkeyPatch, storing: Callable[[], str]) -> None:
        """Patch the connected clients; ``storing`` names the video whose source is opened."""
        self._watch_source(patch, storing)
        self._watch_webhook(patch)
        self._watch_storage(patch)
        # A child process for each video would take 90 % of the time.
        patch.setattr(media, "probe_video", lambda *_: media.ProbeResult(duration=1, poster=b"a picture"))

    def _watch_source(self, patch: pytest.MonkeyPatch, storing: Callable[[], str]) -> None:
        opened = source.connected()

        def open_(real: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
            self.reach("claimed, nothing fetched", storing())
            return real(*arguments, **named)

        patch.setattr(opened, "open", partial(open_, opened.open))

    def _watch_webhook(self, patch: pytest.MonkeyPatch) -> None:
        opened = webhooks.connected()

        def generate(real: Callable[..., Any], order: dict[str, str], **named: Any) -> Any:
            self.reach("about to order", order["videoId"])
            try:
                return real(order, **named)
            finally:
                self.reach("ordered, not recorded", order["videoId"])

        patch.setattr(opened, "generate", partial(generate, opened.generate))

    def _watch_storage(self, patch: pytest.MonkeyPatch) -> None:
        vault = storage.connected()

        def around(
            real: Callable[..., Any], before: str, after: str, key: str, *rest: Any, **named: Any
        ) -> Any:
            self.reach(before, _video_of(key))
            done = real(key, *rest, **named)
            self.reach(after, _video_of(key))
            return done

        def put(real: Callable[..., Any], key: str, *rest: Any, **named: Any) -> Any:
            before = "ready, no sidecar" if key.endswith(SIDECAR_NAME) else ""
            after = "poster stored, not ready" if key.endswith(POSTER_NAME) else "object complete, not ready"
            return around(real, before, "" if before else after, key, *rest, **named)

        def delete(real: Callable[..., Any], keys: list[str]) -> None:
            for key in keys:
                self.reach("about to clean up", _video_of(key))
            real(keys)

        for name, before, after in (
            ("start_upload", "", "upload started, not recorded"),
            ("upload_part", "", "a part sent"),
            ("complete_upload", "", "object complete, not ready"),
            ("abort_upload", "about to clean up", ""),
        ):
            patch.setattr(vault, name, partial(around, getattr(vault, name), before, after))
        patch.setattr(vault, "put", partial(put, vault.put))
        patch.setattr(vault, "delete", partial(delete, vault.delete))


def _video_of(key: str) -> str:
    return key.split("/")[2]
