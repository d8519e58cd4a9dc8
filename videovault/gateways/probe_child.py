"""The child process of ``probe``: examines a video whose bytes it can only request from its parent.

It sends ``{"complete": …}``; ``{"described": …}``, again when more is known; ``{"poster": …}``, again for each
better one; or ``{"failed": …}`` at any point.
"""

import base64
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, cast

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image, ImageStat

from videovault.gateways.container import Structure, read_structure
from videovault.gateways.sandbox_child import (
    MEDIA_ERRORS,
    check_decodable,
    confine,
    encode_webp,
    limit_decoder,
    main_video_stream,
    open_media,
    preload_modules,
    request_bytes,
    send_message,
    square_pixel_size,
)

POSTER_WIDTH, POSTER_MAX_HEIGHT = 640, 1280
# Fractions of the duration in the order tried; the first skips a black or empty start.
POSTER_POSITIONS = (0.1, 0.25, 0.5, 0.75, 0.0)
# Standard deviation of the luma above which a frame counts as a picture; black or plain frames are below.
MIN_POSTER_DEVIATION = 16.0
POSTER_SECONDS = 8.0
MAX_FRAMES_DECODED = 60  # from a key frame to the wanted time
MAX_DURATION_SCAN_BYTES = 16 * 1024**2  # of a file that is read to its end for its duration


def main() -> None:
    kind, size = sys.argv[1], int(sys.argv[2])
    preload_modules()
    confine()
    structure = read_structure(kind, size, _read_bytes)
    send_message({"complete": structure.is_complete})
    if structure.is_complete is False:
        return
    try:
        with open_media(kind, size) as container:
            probe_container(container, structure, kind, size)
    except MEDIA_ERRORS as error:
        send_message({"failed": f"{type(error).__name__}: {error}"})


def probe_container(container: InputContainer, structure: Structure, kind: str, size: int) -> None:
    """Send the media info, then the poster."""
    video = main_video_stream(container)
    info = _media_info(container, video)
    send_message({"described": info})
    if info["duration"] is None and (last := _last_packet_end(structure, kind, size)):
        begin = (container.start_time or 0) / av.time_base
        info |= {"duration": round(max(0.0, last - begin), 3) or None, "has_duration": False}
        send_message({"described": info})
    _send_poster(container, video, info)


def _read_bytes(start: int, count: int) -> bytes:
    return request_bytes(start, count) if count > 0 else b""


def _media_info(container: InputContainer, video: VideoStream | None) -> dict[str, Any]:
    duration = container.duration / av.time_base if container.duration else 0
    audio = container.streams.audio[0] if container.streams.audio else None
    return {
        "duration": round(duration, 3) if duration > 0 else None,
        "video_codec": _codec_name(video),
        "audio_codec": _codec_name(audio),
        "has_picture": video is not None,
        **(_video_info(video) if video else {}),
    }


def _video_info(video: VideoStream) -> dict[str, Any]:
    context, rate = video.codec_context, video.average_rate or video.guessed_rate
    level = context.level if context else None
    pixels = context.format if context and context.pix_fmt else None
    return {
        "width": video.width or None,
        "height": video.height or None,
        "video_profile": (context.profile if context else None) or None,
        "video_level": level if level is not None and level >= 0 else None,
        "pixel_format": context.pix_fmt or None if context else None,
        "bit_depth": max(each.bits for each in pixels.components) if pixels else None,
        "frame_rate": round(float(rate), 3) if rate else None,
    }


def _codec_name(stream: Any) -> str | None:
    """FFmpeg's name of the codec, such as h264; None if unknown."""
    context = stream.codec_context if stream else None
    return str(context.codec.canonical_name) if context else None


def _last_packet_end(structure: Structure, kind: str, size: int) -> float:
    """The end of the last packet in seconds, if reading it is cheap; else 0."""
    last = 0.0
    if structure.ends is None and size > MAX_DURATION_SCAN_BYTES:
        return last
    try:
        with open_media(kind, size, structure.ends) as container:
            for packet in container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    except MEDIA_ERRORS:
        return last
    return last


def _send_poster(container: InputContainer, video: VideoStream | None, info: dict[str, Any]) -> None:
    """Send an upright frame that shows something, or the best one found within POSTER_SECONDS."""
    video = check_decodable(video)
    limit_decoder(video)
    best, until = -1.0, time.monotonic() + POSTER_SECONDS
    for frame in _poster_candidates(container, video, info["duration"]):
        if best < 0:
            send_message({"described": info | _rotated_size(frame, info)})
        image = _scaled(frame, video)
        deviation = ImageStat.Stat(image.convert("L")).stddev[0]
        if deviation > best:
            send_message({"poster": base64.b64encode(encode_webp(image)).decode()})
            best = deviation
        if best >= MIN_POSTER_DEVIATION or time.monotonic() > until:
            return
    if best < 0:
        raise ValueError("there is no picture")


def _rotated_size(frame: VideoFrame, info: dict[str, Any]) -> dict[str, Any]:
    rotation = frame.rotation % 360
    turned = {"width": info["height"], "height": info["width"]} if rotation % 180 else {}
    return {"rotation": rotation, **turned}


def _poster_candidates(
    container: InputContainer, video: VideoStream, duration: float | None
) -> Iterator[VideoFrame]:
    """Frames at several times; the first frame if a time cannot be reached."""
    for part in POSTER_POSITIONS:
        wanted = (duration or 0.0) * part
        try:
            if part != POSTER_POSITIONS[0] or wanted:
                container.seek(int(wanted * av.time_base))
            frame = _frame_at(container, video, wanted)
        except MEDIA_ERRORS:
            continue
        if frame is not None:
            yield frame


def _frame_at(container: InputContainer, video: VideoStream, wanted: float) -> VideoFrame | None:
    """The first frame at or after that second, or the last one decoded within the limit."""
    found = None
    try:
        for number, frame in enumerate(container.decode(video)):
            found = frame
            if frame.time is None or frame.time >= wanted or number >= MAX_FRAMES_DECODED:
                break
    except MEDIA_ERRORS:
        if found is None:
            raise
    return found


def _scaled(frame: VideoFrame, video: VideoStream) -> Image.Image:
    """Upright and POSTER_WIDTH wide, or less if it would be too tall."""
    rotation = frame.rotation
    width, height = square_pixel_size((frame.width, frame.height), video)
    shown_width, shown_height = (height, width) if rotation % 180 else (width, height)
    scale = min(POSTER_WIDTH / shown_width, POSTER_MAX_HEIGHT / shown_height)
    small = frame.reformat(max(1, round(width * scale)), max(1, round(height * scale)), "rgb24")
    image = cast("Image.Image", small.to_image())  # type: ignore[no-untyped-call] # PyAV's gap
    return image.rotate(rotation, expand=True) if rotation else image


if __name__ == "__main__":
    main()
    os._exit(0)  # the interpreter's teardown would take as long as the poster
