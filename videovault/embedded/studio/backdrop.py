"""The moving background: one large gradient that drifts, and two soft glows that float over it."""

import math
from random import Random

from PIL import Image, ImageChops

from videovault.embedded.studio.theme import HEIGHT, RGB, WIDTH, Theme

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
