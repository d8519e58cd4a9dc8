"""A real video, rendered once."""

from array import array
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.audio.frame import AudioFrame
from PIL import ImageChops

from videovault.embedded.studio.render import render
from videovault.embedded.studio.requests import VideoRequest

pytestmark = pytest.mark.process

ORDER = VideoRequest(
    hook="Good coffee is no secret.",
    body="Fresh beans and clean water.",
    conclusion="Come by, and taste it!",
    company_name="Acme Coffee",
    social_handles="@acme",
    license="CC BY 4.0",
    avatar="Sofia",
)
ESTIMATE = 15 * 60 / 150  # seconds: 15 words at 150 a minute


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("render") / "video.mp4"
    assert render(ORDER, path) == pytest.approx(ESTIMATE, abs=0.1)
    return path


def test_it_is_h264_and_aac(video: Path) -> None:
    with av.open(str(video)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.codec_context.name, picture.pix_fmt) == ("h264", "yuv420p")
        assert (picture.width, picture.height) == (1280, 720)
        assert picture.average_rate == Fraction(25)
        assert (sound.codec_context.name, sound.rate, sound.channels) == ("aac", 48_000, 2)


def test_it_lasts_as_long_as_its_words(video: Path) -> None:
    with av.open(str(video)) as container:
        assert container.duration is not None
        assert container.duration / av.time_base == pytest.approx(ESTIMATE, abs=0.15)


def test_its_index_comes_first_so_that_players_can_start(video: Path) -> None:
    data = video.read_bytes()
    assert data[4:8] == b"ftyp"
    assert data.index(b"moov") < data.index(b"mdat")


def test_every_frame_decodes_and_the_picture_moves(video: Path) -> None:
    with av.open(str(video)) as container:
        shown, count = [], 0
        for frame in container.decode(video=0):
            if count % 37 == 0:
                shown.append(frame.to_image())  # type: ignore[no-untyped-call]  # PyAV leaves it unannotated
            count += 1
    assert count == ESTIMATE * 25
    assert all(ImageChops.difference(one, next_).getbbox() for one, next_ in pairwise(shown))


def test_the_music_is_quiet_and_fades(video: Path) -> None:
    with av.open(str(video)) as container:
        loudness = [_loudness(frame) for frame in container.decode(audio=0)]
    middle = max(loudness[len(loudness) // 4 : len(loudness) // 2])
    assert 0.02 < middle < 0.5
    assert max(loudness[:3]) < middle / 4
    assert max(loudness[-4:-1]) < middle / 4


def test_a_render_stops_when_it_is_no_longer_wanted(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="has ended"):
        render(ORDER, tmp_path / "video.mp4", is_wanted=lambda: False)


def _loudness(frame: AudioFrame) -> float:
    return max(abs(value) for value in array("f", bytes(frame.planes[0])[: frame.samples * 4]))
