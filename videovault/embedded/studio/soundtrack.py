"""Background music: four quiet chords and a soft melody, computed by FFmpeg's filters."""

from collections.abc import Iterator

import av
from av.audio.frame import AudioFrame
from av.filter import Graph

SAMPLE_RATE = 48_000
CHORD_SECONDS = 2.5
FADE_IN_SECONDS, FADE_OUT_SECONDS = 0.8, 1.6
# Semitones above the lowest note: C, A minor, F, G, as root, third and fifth.
_CHORDS = ((0, 4, 7), (-3, 0, 4), (-7, -3, 0), (-5, -1, 2))
_LOWEST_HERTZ = 130.81
# A bell plays the notes of the chord up and down.
_NOTE_SECONDS = CHORD_SECONDS / 4


def music(seconds: float) -> Iterator[AudioFrame]:
    """Stereo frames (fltp, 48 kHz), ``seconds`` in total, fading in and out."""
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
