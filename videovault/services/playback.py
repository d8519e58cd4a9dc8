"""Whether browsers play a stored video, and how a copy is made that they play. docs/decisions/0026 gives the reasons."""

from typing import Protocol

from videovault.gateways.conversion import Recipe, Sound
from videovault.models import Playback

PLAIN = {"yuv420p", "yuvj420p"}  # 8 bits, 4:2:0: all that hardware decoders of phones take
HIGHEST_H264 = 52
H264_PROFILES = ("Baseline", "Constrained Baseline", "Main", "High")
OPEN_CODECS = {"vp8", "vp9", "av1"}
MP4_SOUND, WEBM_SOUND = {"aac", "mp3"}, {"opus", "vorbis"}


class Streams(Protocol):
    """What the probe has just found, or a video's row."""

    @property
    def width(self) -> int | None: ...
    @property
    def video_codec(self) -> str | None: ...
    @property
    def audio_codec(self) -> str | None: ...
    @property
    def video_profile(self) -> str | None: ...
    @property
    def video_level(self) -> int | None: ...
    @property
    def pixel_format(self) -> str | None: ...


def playback_of(container: str, streams: Streams, *, has_duration: bool) -> Playback | None:
    """What most browsers make of the video; None where too little could be measured."""
    if not (streams.video_codec or streams.width):
        return None
    sound = streams.audio_codec
    if container in ("mp4", "mov"):
        plays = _is_plain_h264(streams) and sound in (None, *MP4_SOUND)
        plays |= _is_open(streams) and streams.video_codec != "vp8" and sound in (None, "opus", *MP4_SOUND)
    else:
        plays = container == "webm" and _is_open(streams) and sound in (None, *WEBM_SOUND)
    if not plays:
        return Playback.LIMITED
    return Playback.EVERYWHERE if has_duration else Playback.NO_DURATION


def recipes(container: str, streams: Streams) -> list[Recipe]:
    """How a playable copy can be made, what costs least first; none where FFmpeg does not know the codec."""
    sound = streams.audio_codec
    if not streams.video_codec:
        return []
    # AVI's times are those of decoding, and its sound may be of a variable bit rate that it does not know.
    copied = container != "avi"
    mp4_sound: Sound = "copy" if copied and sound in MP4_SOUND else "aac"
    anyway = Recipe("mp4", "h264", mp4_sound if sound else None)
    if copied and _is_plain_h264(streams):
        return [Recipe("mp4", "copy", mp4_sound if sound else None), anyway]
    if copied and _is_open(streams):
        webm_sound: Sound = "copy" if sound in WEBM_SOUND else "opus"
        return [Recipe("webm", "copy", webm_sound if sound else None), anyway]
    return [anyway]


def _is_plain_h264(streams: Streams) -> bool:
    return (
        streams.video_codec == "h264"
        and streams.pixel_format in PLAIN
        and streams.video_profile in (None, *H264_PROFILES)
        and (streams.video_level or 0) <= HIGHEST_H264
    )


def _is_open(streams: Streams) -> bool:
    return streams.video_codec in OPEN_CODECS and streams.pixel_format in PLAIN
