"""The child process of ``probe``: reads a URL from stdin, looks at the video, prints JSON. Limits itself first."""

import base64
import io
import json
import resource
import sys
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image

POSTER_WIDTH = 640
POSTER_AT = 0.1  # of the duration: past a black or empty start
DEMUXERS = {"mp4": "mov", "mov": "mov", "webm": "matroska", "mkv": "matroska", "avi": "avi", "ts": "mpegts"}
IO_SECONDS = (10.0, 10.0)  # to open, to read
LIMITS = {
    resource.RLIMIT_CPU: 20,
    resource.RLIMIT_AS: 2 * 1024**3,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
}


def main() -> None:
    for limit, value in LIMITS.items():
        resource.setrlimit(limit, (value, value))
    url = sys.stdin.read()
    # FFmpeg's playlists and concatenations can name files and other hosts; only http may be opened.
    options = {"protocol_whitelist": "http,https,tcp,tls"}
    with av.open(url, format=DEMUXERS[sys.argv[1]], options=options, timeout=IO_SECONDS) as container:
        json.dump(_described(container), sys.stdout)


def _described(container: InputContainer) -> dict[str, Any]:
    video = container.streams.video[0] if container.streams.video else None
    duration = container.duration / av.time_base if container.duration else None
    return {
        "duration": round(duration, 3) if duration else None,
        "width": video.width if video else None,
        "height": video.height if video else None,
        "poster": _poster(container, video, duration) if video else None,
    }


def _poster(container: InputContainer, video: VideoStream, duration: float | None) -> str | None:
    """A frame as base64 WebP; a picture that cannot be had costs only itself."""
    try:
        if duration:
            container.seek(int(duration * POSTER_AT * av.time_base))
        image: Image.Image = next(container.decode(video)).to_image()  # type: ignore[no-untyped-call] # PyAV's gap
    except (av.FFmpegError, StopIteration, MemoryError) as error:
        print(f"no poster: {error}", file=sys.stderr)  # noqa: T201 - the parent reads stderr
        return None
    height = max(1, round(image.height * POSTER_WIDTH / image.width))
    out = io.BytesIO()
    image.resize((POSTER_WIDTH, height), Image.Resampling.LANCZOS).save(out, "WEBP", quality=80)
    return base64.b64encode(out.getvalue()).decode()


if __name__ == "__main__":
    main()
