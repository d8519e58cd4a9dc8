"""Colours and background of a video, chosen by the company's name so that all of its videos match."""

import hashlib
import math
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops

RGB = tuple[int, int, int]

WIDTH, HEIGHT = 1280, 720
WHITE: RGB = (255, 255, 255)
_MARGIN = 100
_GLOW_SIZE = 800
_GRAIN = 4
# Pillow's radial gradient is 0 in the centre, 255 in the corners and this at the middle of an edge.
_EDGE = 180


@dataclass(frozen=True)
class Theme:
    """``stage`` goes from light to dark; ``quiet`` is for small print."""

    corners: tuple[RGB, RGB, RGB, RGB]  # of the background: top left, top right, bottom left, bottom right
    glows: tuple[RGB, RGB]
    stage: tuple[RGB, RGB]
    accent: RGB
    unspoken: RGB
    quiet: RGB

    @classmethod
    def parse(cls, colours: str) -> "Theme":
        """From hexadecimal colours in the order of the fields."""
        red_green_blue = (bytes.fromhex(colour) for colour in colours.split())
        a, b, c, d, e, f, g, h, i, j, k = ((red, green, blue) for red, green, blue in red_green_blue)
        return cls((a, b, c, d), (e, f), (g, h), i, j, k)


THEMES = tuple(
    Theme.parse(colours)
    for colours in (
        "111434 2c2469 0e1b3c 3a1e62  6354e6 be46be  96a0ff 5650c8  ffc45c 8a8fbe bec3e4",
        "06222e 0a4852 081a2c 103a5c  14a096 286ec8  8ce1d7 22788c  ffd666 78a0ac b6d4dc",
        "261028 601e42 1c1030 5c2c32  d7466e eb8246  ffc4b4 be5064  ffbe78 b48aa0 e4c6d0",
        "0a2022 164a38 081c28 24422c  32aa6e 96b43c  b4e8be 328260  fad660 80a496 bedace",
        "0e1a38 183c7c 0a1632 222e6e  3278f0 5ac8e6  a0ceff 326ec8  7ae8d6 8096c0 bccce8",
    )
)


def theme_for(company: str) -> Theme:
    """The same for the same name, regardless of case and spacing."""
    name = " ".join(company.split()).casefold()
    return THEMES[hashlib.sha256(name.encode()).digest()[0] % len(THEMES)]


def mixed(one: RGB, other: RGB, share: float) -> RGB:
    """``share`` 0 is all ``one``, 1 is all ``other``."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


class Backdrop:
    """One large gradient that drifts, and two soft glows over it: drawn once, so that a frame is one crop and two pastes."""

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
    """Faint grey noise, always the same, against visible bands in the dark gradient."""
    noise = Random(size[0]).randbytes(size[0] * size[1])  # noqa: S311 - a pattern, not a secret
    grey = Image.frombytes("L", size, noise).point([level * (2 * _GRAIN + 1) // 256 for level in range(256)])
    return Image.merge("RGB", [grey] * 3)


def _glow(colour: RGB) -> tuple[Image.Image, Image.Image]:
    """An image of the colour and its soft mask; pasting an image is three times as fast as pasting a colour."""
    fading = Image.radial_gradient("L").resize((_GLOW_SIZE, _GLOW_SIZE), Image.Resampling.BICUBIC)
    disc = fading.point([_glow_strength(level / _EDGE) for level in range(256)])
    return Image.new("RGB", disc.size, colour), disc


def _glow_strength(distance: float) -> int:
    """Smoothly from the centre (0) to nothing at the edge (1)."""
    inside = max(0.0, 1.0 - distance)
    return round(100 * inside * inside * (3 - 2 * inside))


def _glow_position(number: int, seconds: float) -> tuple[int, int]:
    phase = number * math.pi * 0.9
    x = (0.25 + 0.5 * number) * WIDTH + 150 * math.sin(seconds * 0.5 + phase)
    y = (0.85 - 0.7 * number) * HEIGHT + 90 * math.cos(seconds * 0.42 + phase)
    return round(x - _GLOW_SIZE / 2), round(y - _GLOW_SIZE / 2)
