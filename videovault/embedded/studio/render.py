"""The renderer, a process of its own: turns a video request into a finished MP4."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from videovault.embedded.studio.requests import VideoRequest
from videovault.embedded.studio.scene import SIZE, Scene
from videovault.embedded.studio.soundtrack import SAMPLE_RATE, music
from videovault.embedded.studio.timeline import FRAMES_A_SECOND

_BT709 = 1
_LIMITED_RANGE = 1


def render(video: VideoRequest, path: Path, *, is_wanted: Callable[[], bool] = lambda: True) -> float:
    """Write the MP4 (H.264 and AAC, 1280x720) and return its length in seconds.

    ``still_wanted`` is asked before each frame; RuntimeError if it says no.
    """
    scene, easel = Scene(video), _Easel()
    count = round(scene.seconds * FRAMES_A_SECOND)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        picture, sound = _picture_stream(container), _sound_stream(container)
        soundtrack = music(count / FRAMES_A_SECOND)
        for number in range(count):
            if not is_wanted():
                raise RuntimeError("nobody waits for this video any more")
            container.mux(picture.encode(easel.frame(scene.frame(number / FRAMES_A_SECOND), number)))
            if number % FRAMES_A_SECOND == 0:
                _mux_sound(container, sound, soundtrack, until=number / FRAMES_A_SECOND + 1)
        _mux_sound(container, sound, soundtrack, until=float("inf"))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    return count / FRAMES_A_SECOND


def main(path: Path) -> None:
    """Render the request given as JSON on standard input; say the length as JSON on standard output.

    Ends early when the studio that started it is gone: a new one starts its own.
    """
    os.nice(10)  # people's clicks come first
    parent = os.getppid()
    video = VideoRequest.model_validate_json(sys.stdin.buffer.read())
    seconds = render(video, path, is_wanted=lambda: os.getppid() == parent)
    sys.stdout.write(json.dumps({"duration": seconds}))


def _picture_stream(container: OutputContainer) -> VideoStream:
    stream = container.add_stream("libx264", rate=FRAMES_A_SECOND)
    stream.width, stream.height = SIZE
    stream.pix_fmt = "yuv420p"
    stream.time_base = Fraction(1, FRAMES_A_SECOND)
    # A key frame every two seconds makes seeking quick.
    stream.options = {
        "preset": "veryfast",
        "crf": "21",
        "g": str(2 * FRAMES_A_SECOND),
        "threads": "1",
        # Flat figures gain nothing from the finer searches of the preset: a third less time, the same size.
        "x264-params": "subme=1:rc-lookahead=10:bframes=2:b-adapt=0:weightp=0",
    }
    context = stream.codec_context
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _LIMITED_RANGE
    return stream


def _sound_stream(container: OutputContainer) -> AudioStream:
    stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
    stream.bit_rate = 128_000
    return stream


class _Easel:
    """Turns images into frames for the encoder; reusing one canvas takes a third of the time."""

    def __init__(self) -> None:
        self._canvas = VideoFrame(*SIZE, "rgb24")
        self._reformatter = VideoReformatter()

    def frame(self, image: Image.Image, number: int) -> VideoFrame:
        # 1280 x 3 bytes is a multiple of the alignment, so lines follow each other without a gap.
        self._canvas.planes[0].update(image.tobytes())
        frame = self._reformatter.reformat(
            self._canvas, format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED_RANGE
        )
        frame.pts = number
        frame.time_base = Fraction(1, FRAMES_A_SECOND)
        return frame


def _mux_sound(
    container: OutputContainer, stream: AudioStream, frames: Iterator[AudioFrame], until: float
) -> None:
    for frame in frames:
        container.mux(stream.encode(frame))
        if frame.time is not None and frame.time >= until:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
