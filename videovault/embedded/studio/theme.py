"""The colours of a video, chosen by the company's name so that all of a company's videos match."""

import hashlib
import math
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops

RGB = tuple[int, int, int]

WIDTH, HEIGHT = 1280, 720
WHITE: RGB = (255, 255, 255)


@dataclass(frozen=True)
class Theme:
    """``corners`` of the background (top left, top right, bottom left, bottom right), two glows, one accent."""

    corners: tuple[RGB, RGB, RGB, RGB]
    glows: tuple[RGB, RGB]
    stage: tuple[RGB, RGB]
    accent: RGB
    unspoken: RGB
    quiet: RGB


THEMES = (
    Theme(
        corners=((17, 20, 52), (44, 36, 105), (14, 27, 60), (58, 30, 98)),
        glows=((99, 84, 230), (190, 70, 190)),
        stage=((150, 160, 255), (86, 80, 200)),
        accent=(255, 196, 92),
        unspoken=(138, 143, 190),
        quiet=(190, 195, 228),
    ),
    Theme(
        corners=((6, 34, 46), (10, 72, 82), (8, 26, 44), (16, 58, 92)),
        glows=((20, 160, 150), (40, 110, 200)),
        stage=((140, 225, 215), (34, 120, 140)),
        accent=(255, 214, 102),
        unspoken=(120, 160, 172),
        quiet=(182, 212, 220),
    ),
    Theme(
        corners=((38, 16, 40), (96, 30, 66), (28, 16, 48), (92, 44, 50)),
        glows=((215, 70, 110), (235, 130, 70)),
        stage=((255, 196, 180), (190, 80, 100)),
        accent=(255, 190, 120),
        unspoken=(180, 138, 160),
        quiet=(228, 198, 208),
    ),
    Theme(
        corners=((10, 32, 34), (22, 74, 56), (8, 28, 40), (36, 66, 44)),
        glows=((50, 170, 110), (150, 180, 60)),
        stage=((180, 232, 190), (50, 130, 96)),
        accent=(250, 214, 96),
        unspoken=(128, 164, 150),
        quiet=(190, 218, 206),
    ),
    Theme(
        corners=((14, 26, 56), (24, 60, 124), (10, 22, 50), (34, 46, 110)),
        glows=((50, 120, 240), (90, 200, 230)),
        stage=((160, 206, 255), (50, 110, 200)),
        accent=(122, 232, 214),
        unspoken=(128, 150, 192),
        quiet=(188, 204, 232),
    ),
)


def theme_for(company: str) -> Theme:
    """The same for the same name, whatever its case and spacing."""
    name = " ".join(company.split()).casefold()
    return THEMES[hashlib.sha256(name.encode()).digest()[0] % len(THEMES)]


def mixed(one: RGB, other: RGB, share: float) -> RGB:
    """``share`` 0 is all ``one``, 1 is all ``other``."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


# The moving background: one large gradient that drifts, and two soft glows that float over it.

_MARGIN = 100
_GLOW_SIZE = 800
_GRAIN = 4
# Pillow's radial gradient is 0 in the middle, 255 in the corners and this at the middle of an edge.
_EDGE = 180


class Backdrop:
    """Everything costly is drawn once; a picture is one crop and two pastes."""

    def __init__(self, theme: Theme) -> None:
        self._gradient = _gradient(theme.corners, (WIDTH + 2 * _MARGIN, HEIGHT + 2 * _MARGIN))
        self._glows = [_glow(colour) for colour in theme.glows]

    def picture(self, seconds: float) -> Image.Image:
        """A new RGB image, 1280x720."""
        left = round(_MARGIN * (1 + math.sin(seconds * 0.45)))
        top = round(_MARGIN * (1 + math.cos(seconds * 0.38)))
        image = self._gradient.crop((left, top, left + WIDTH, top + HEIGHT))
        for number, (colour, mask) in enumerate(self._glows):
            image.paste(colour, _glow_position(number, seconds), mask)
        return image


def _gradient(corners: tuple[RGB, RGB, RGB, RGB], size: tuple[int, int]) -> Image.Image:
    seed = Image.new("RGB", (2, 2))
    seed.putdata(corners)
    gradient = seed.resize(size, Image.Resampling.BICUBIC)
    return ImageChops.add(gradient, _grain(size), offset=-_GRAIN)


def _grain(size: tuple[int, int]) -> Image.Image:
    """A breath of grey grain, always the same, keeps the dark, slow gradient from showing as stripes."""
    noise = Random(size[0]).randbytes(size[0] * size[1])  # noqa: S311 - a pattern, not a secret
    grey = Image.frombytes("L", size, noise).point([level * (2 * _GRAIN + 1) // 256 for level in range(256)])
    return Image.merge("RGB", [grey] * 3)


def _glow(colour: RGB) -> tuple[Image.Image, Image.Image]:
    """A plain image of the colour (pasting an image is three times as fast as a colour) and its soft mask."""
    fading = Image.radial_gradient("L").resize((_GLOW_SIZE, _GLOW_SIZE), Image.Resampling.BICUBIC)
    disc = fading.point([_glow_strength(level / _EDGE) for level in range(256)])
    return Image.new("RGB", disc.size, colour), disc


def _glow_strength(distance: float) -> int:
    """From the middle (0) to the edge (1), where it is nothing, with no visible border."""
    inside = max(0.0, 1.0 - distance)
    return round(100 * inside * inside * (3 - 2 * inside))


def _glow_position(number: int, seconds: float) -> tuple[int, int]:
    phase = number * math.pi * 0.9
    x = (0.25 + 0.5 * number) * WIDTH + 150 * math.sin(seconds * 0.5 + phase)
    y = (0.85 - 0.7 * number) * HEIGHT + 90 * math.cos(seconds * 0.42 + phase)
    return round(x - _GLOW_SIZE / 2), round(y - _GLOW_SIZE / 2)
