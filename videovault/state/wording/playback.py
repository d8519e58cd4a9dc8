"""What pages say of a video that most browsers cannot play."""

from videovault.models import CopyState, Playback
from videovault.services.core.views import CopyView, Measured

NAMES = {
    "h264": "H.264",
    "hevc": "HEVC",
    "prores": "ProRes",
    "mpeg4": "MPEG-4 Part 2",
    "mpeg2video": "MPEG-2",
    "mpeg1video": "MPEG-1",
    "mjpeg": "Motion JPEG",
    "dnxhd": "DNxHD",
    "vvc": "VVC",
    "pcm_s16le": "PCM",
    "ac3": "AC-3",
    "eac3": "E-AC-3",
    "mp2": "MP2",
    "dts": "DTS",
}
CANNOT = "Most browsers cannot play this video ({kind})."
BEING_COPIED = f"{CANNOT} A copy that they can play is being made."
SENTENCES = {
    CopyState.DUE: BEING_COPIED,
    CopyState.MAKING: BEING_COPIED,
    CopyState.READY: "You watch a copy, since most browsers cannot play the original ({kind}). Download saves the original.",
    CopyState.FAILED: f"{CANNOT} No copy could be made{{why}}. Download it to watch it in another player.",
    None: f"{CANNOT} Download it to watch it in another player.",
}


def playback(measured: Measured | None, container: str | None, copy: CopyView | None) -> str:
    """Empty for a video that plays everywhere, or of which that is not known."""
    if measured is None or measured.playback != Playback.LIMITED:
        return ""
    why = f": {copy.error.rstrip('.')}" if copy and copy.error else ""
    return SENTENCES[copy.state if copy else None].format(kind=_kind(measured, container), why=why)


def _kind(measured: Measured, container: str | None) -> str:
    """``HEVC in MP4``, ``H.264, 10 bits, in MKV``, ``H.264 with AC-3 sound in MP4``."""
    found = _name(measured.video_codec) if measured.video_codec else "an unknown format"
    if measured.bit_depth and measured.bit_depth > 8:
        found = f"{found}, {measured.bit_depth} bits,"
    elif measured.audio_codec not in (None, "aac", "mp3", "opus", "vorbis"):
        found = f"{found} with {_name(str(measured.audio_codec))} sound"
    return f"{found} in {container.upper()}" if container else found


def _name(codec: str) -> str:
    return NAMES.get(codec, codec.upper())
