"""Invariants of all videos after each step, and those at the end."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise

from moto.s3.models import s3_backends
from sqlmodel import col, select

from tests.support.generator import Generator
from videovault.db import reading
from videovault.gateways import storage
from videovault.models import Event, Status, UploadPart, Video
from videovault.services.core.lifecycle import TRANSITIONS
from videovault.services.core.naming import SIDECAR_NAME, folder

AT_REST = {Status.READY, Status.FAILED, Status.DRAFT}


def rows() -> dict[str, Video]:
    with reading() as session:
        return {video.id: video for video in session.exec(select(Video))}


def states() -> dict[str, tuple[object, ...]]:
    """The columns that repair and workers change, by video id."""
    return {
        video.id: (video.status, video.attempt, video.heartbeat_at, video.upload_id, video.s3_key)
        for video in rows().values()
    }


def are_at_rest() -> bool:
    return {video.status for video in rows().values()} <= AT_REST


def check_always(generator: Generator) -> None:
    videos, objects = rows(), _sizes()
    for video in videos.values():
        assert video.status == Status.STORING or video.reserved_bytes == 0, (
            "bytes are reserved without a transfer"
        )
        assert video.status != Status.READY or objects.get(str(video.s3_key)) == video.size, (
            "the object is not there"
        )
    orphans = {key for key in objects if key.split("/")[2] not in videos}
    assert not orphans, "objects without a row"
    events = _events()
    _check_chains(events, videos)
    _check_payments(events, generator)


def check_at_rest(films: Mapping[str, bytes]) -> None:
    """``films`` are the bytes behind each URL. A missing sidecar is written later."""
    vault, videos = storage.connected(), rows()
    keys = set(vault.keys())
    assert are_at_rest(), "videos still in progress"
    left = {key for key in keys if not key.endswith(SIDECAR_NAME)}
    for video in videos.values():
        assert video.heartbeat_at is None, "a worker still holds it"
        if video.status == Status.READY:
            film = films[str(video.source_url)]
            assert vault.read(str(video.s3_key), len(film) + 1) == film, "the object differs from the source"
            assert (video.size, video.crc32) == (len(film), f"{zlib.crc32(film):08x}")
            left -= {str(video.s3_key), str(video.poster_key)}
    assert not left, "orphaned objects"
    ready = {folder(video) for video in videos.values() if video.status == Status.READY}
    assert {key.removesuffix(SIDECAR_NAME) for key in keys if key.endswith(SIDECAR_NAME)} <= ready
    assert not list(vault.uploads()), "abandoned uploads"
    with reading() as session:
        assert not session.exec(select(UploadPart)).all(), "parts without an upload"


def _sizes() -> dict[str, int]:
    """The objects by key, read without HTTP, since the S3 runs in this process."""
    bucket = s3_backends["123456789012"]["aws"].buckets[storage.connected().bucket]
    return {key: found.size for key, found in bucket.keys.items()}


def _events() -> dict[str, list[Event]]:
    """The events of each video, in order."""
    found: defaultdict[str, list[Event]] = defaultdict(list)
    with reading() as session:
        for event in session.exec(select(Event).order_by(col(Event.id))):
            if event.video_id:
                found[event.video_id].append(event)
    return found


def _check_chains(by_video: Mapping[str, list[Event]], videos: Mapping[str, Video]) -> None:
    """The status events of a video form a chain of allowed transitions that ends in its current status."""
    for video_id, events in by_video.items():
        moves = [
            (Status(each.detail["from"]), Status(each.detail["to"]))
            for each in events
            if each.kind == "status"
        ]
        assert all(to in TRANSITIONS[came_from] for came_from, to in moves)
        assert all(move[1] == after[0] for move, after in pairwise(moves)), moves
        deletions = [each for each in events if each.kind == "deleted"]
        assert len(deletions) == (video_id not in videos)
        status = videos[video_id].status if video_id in videos else Status.DELETING
        assert not moves or moves[-1][1] == status


def _check_payments(by_video: Mapping[str, list[Event]], generator: Generator) -> None:
    """One render for each idempotency key, and one request of a user for each key."""
    assert set(generator.renders.values()) <= {1}, "rendered twice"
    ordered = Counter(key.rpartition(":")[0] for key in set(generator.idempotency_keys))
    for video_id, orders in ordered.items():
        requested = [
            each for each in by_video[video_id] if each.kind == "status" and each.detail["to"] == "generating"
        ]
        assert all(each.actor_id for each in requested)
        assert orders <= len(requested), "ordered without a request of a user"
