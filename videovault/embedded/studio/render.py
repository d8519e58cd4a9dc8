"""Renders a video request into an MP4; runs as a process of its own."""

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
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from videovault.embedded.studio.captions import FRAMES_PER_SECOND
from videovault.embedded.studio.requests import VideoRequest
from videovault.embedded.studio.scene import SIZE, Scene

_BT709 = 1
_LIMITED_RANGE = 1
SAMPLE_RATE = 48_000
CHORD_SECONDS = 2.5
FADE_IN_SECONDS, FADE_OUT_SECONDS = 0.8, 1.6
# Semitones above the lowest note: C, A minor, F, G, as root, third and fifth.
_CHORDS = ((0, 4, 7), (-3, 0, 4), (-7, -3, 0), (-5, -1, 2))
_LOWEST_HERTZ = 130.81
# A bell plays the notes of the chord up and down.
_NOTE_SECONDS = CHORD_SECONDS / 4


def render(video: VideoRequest, path: Path, *, is_wanted: Callable[[], bool] = lambda: True) -> float:
    """Write the MP4 (H.264 and AAC, 1280x720) and return its length in seconds.

    Raises RuntimeError once ``is_wanted``, called before each frame, returns False.
    """
    scene, converter = Scene(video), _FrameConverter()
    count = round(scene.seconds * FRAMES_PER_SECOND)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        picture, sound = _picture_stream(container), _sound_stream(container)
        soundtrack = _music(count / FRAMES_PER_SECOND)
        for number in range(count):
            if not is_wanted():
                raise RuntimeError("the studio that started this render has ended")
            container.mux(picture.encode(converter.frame(scene.frame(number / FRAMES_PER_SECOND), number)))
            if number % FRAMES_PER_SECOND == 0:
                _mux_sound(container, sound, soundtrack, until=number / FRAMES_PER_SECOND + 1)
        _mux_sound(container, sound, soundtrack, until=float("inf"))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    return count / FRAMES_PER_SECOND


def main(path: Path) -> None:
    """Render the JSON request on standard input; write the length as JSON to standard output.

    Stops when its parent process has ended: a new studio starts its own renders.
    """
    os.nice(10)  # pages and API have priority
    parent = os.getppid()
    video = VideoRequest.model_validate_json(sys.stdin.buffer.read())
    seconds = render(video, path, is_wanted=lambda: os.getppid() == parent)
    sys.stdout.write(json.dumps({"duration": seconds}))


def _picture_stream(container: OutputContainer) -> VideoStream:
    stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
    stream.width, stream.height = SIZE
    stream.pix_fmt = "yuv420p"
    stream.time_base = Fraction(1, FRAMES_PER_SECOND)
    # A key frame every two seconds makes seeking fast.
    stream.options = {
        "preset": "veryfast",
        "crf": "21",
        "g": str(2 * FRAMES_PER_SECOND),
        "threads": "1",
        # Flat shapes gain nothing from the preset's finer motion search: a third less time, the same size.
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


class _FrameConverter:
    """Converts images into frames for the encoder; reusing one buffer takes a third of the time."""

    def __init__(self) -> None:
        self._buffer = VideoFrame(*SIZE, "rgb24")
        self._reformatter = VideoReformatter()

    def frame(self, image: Image.Image, number: int) -> VideoFrame:
        # 1280 x 3 bytes is a multiple of the alignment, so lines have no padding.
        self._buffer.planes[0].update(image.tobytes())
        frame = self._reformatter.reformat(
            self._buffer, format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED_RANGE
        )
        frame.pts = number
        frame.time_base = Fraction(1, FRAMES_PER_SECOND)
        return frame


def _mux_sound(
    container: OutputContainer, stream: AudioStream, frames: Iterator[AudioFrame], until: float
) -> None:
    for frame in frames:
        container.mux(stream.encode(frame))
        if frame.time is not None and frame.time >= until:
            return


def _music(seconds: float) -> Iterator[AudioFrame]:
    """Four quiet chords and a soft melody: stereo frames (fltp, 48 kHz), ``seconds`` in total, fading in and out."""
    graph = Graph()
    steps = [
        graph.add("aevalsrc", f"exprs='{_expression()}':s={SAMPLE_RATE}:d={seconds + 1}"),
        graph.add("lowpass", "f=2600"),
        graph.add("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
        graph.add("adelay", "delays=0|13"),
        graph.add("aecho", "0.9:0.8:90|170:0.28|0.18"),
        graph.add("atrim", f"end={seconds}"),
        graph.add("afade", f"t=in:d={FADE_IN_SECONDS}"),
        graph.add("afade", f"t=out:st={seconds - FADE_OUT_SECONDS}:d={FADE_OUT_SECONDS}"),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*steps).configure()
    while True:
        try:
            frame = graph.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return
        if isinstance(frame, AudioFrame):
            yield frame


def _expression() -> str:
    """In FFmpeg's expression language; ld(0) is the chord, ld(1) to ld(3) its notes, ld(4) the bell, in hertz."""
    chord = f"st(0,mod(floor(t/{CHORD_SECONDS}),{len(_CHORDS)}))"
    notes = [f"st({n + 1},{_LOWEST_HERTZ}*pow(2,({_by_chord(n)})/12))" for n in range(3)]
    since_chord = f"mod(t,{CHORD_SECONDS})"
    swell = f"min(1,{since_chord}/0.7)*min(1,({CHORD_SECONDS}-{since_chord})/0.5)"
    pad = "+".join(f"sin(2*PI*ld({n})*t)+0.35*sin(4.006*PI*ld({n})*t)" for n in (1, 2, 3))
    since_note = f"mod(t,{_NOTE_SECONDS})"
    note = f"st(4,4*ld(1+mod(floor(t/{_NOTE_SECONDS})*2,3)))"
    bell = f"min(1,{since_note}*90)*exp(-5*{since_note})*(sin(2*PI*ld(4)*t)+0.25*sin(6*PI*ld(4)*t))"
    return ";".join([chord, *notes, note, f"0.08*{swell}*({pad})+0.11*({bell})"])


def _by_chord(note: int) -> str:
    """Nested ifs that pick the semitones of one note by the chord in ld(0)."""
    expression = str(_CHORDS[-1][note])
    for chord in reversed(range(len(_CHORDS) - 1)):
        expression = f"if(eq(ld(0),{chord}),{_CHORDS[chord][note]},{expression})"
    return expression


if __name__ == "__main__":
    main(Path(sys.argv[1]))
