"""What stands around captions and avatar: brand, part label, call to action, name plate, credits, progress."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from videovault.embedded.studio.theme import HEIGHT, RGB, WHITE, WIDTH, Theme, mixed
from videovault.embedded.studio.typefaces import Typesetter

MARGIN = 76
_DARK: RGB = (16, 18, 34)
_SCALE = 4
_GAP = 8


def brand(company: str, setter: Typesetter, theme: Theme) -> Image.Image:
    """The company's initials on a tile, and its name."""
    name = setter.fitted(company, 28, 500, bold=True)
    picture = Image.new("RGBA", (54 + 18 + round(setter.width(name, 28, bold=True)) + 8, 54), (*WHITE, 0))
    picture.alpha_composite(_rounded((54, 54), 15, (*theme.accent, 255)))
    draw = ImageDraw.Draw(picture)
    initials = _initials(company)
    setter.draw(draw, (27 - setter.width(initials, 23) / 2, 35), initials, 23, _DARK, bold=True)
    setter.draw(draw, (72, 37), name, 28, WHITE, bold=True)
    return picture


def label(text: str, setter: Typesetter, theme: Theme) -> Image.Image:
    """A small outlined pill, its capitals set apart."""
    widths = [setter.width(letter, 16, bold=True) + 3 for letter in text]
    picture = _rounded((round(sum(widths)) + 36, 34), 17, (*theme.accent, 36))
    draw = ImageDraw.Draw(picture)
    x = 19.0
    for letter, width in zip(text, widths, strict=True):
        setter.draw(draw, (x, 23), letter, 16, theme.accent, bold=True)
        x += width
    return picture


def button(text: str, setter: Typesetter, theme: Theme) -> Image.Image:
    """A filled pill that looks like something to press."""
    shown = setter.fitted(text, 26, 540, bold=True)
    picture = _rounded((round(setter.width(shown, 26, bold=True)) + 56, 58), 29, (*theme.accent, 255))
    setter.draw(ImageDraw.Draw(picture), (28, 38), shown, 26, _DARK, bold=True)
    return picture


def name_plate(name: str, setter: Typesetter) -> Image.Image:
    """The avatar's name; room is left at 20..48 px for the moving bars."""
    shown = setter.fitted(name, 22, 240)
    picture = _rounded((round(setter.width(shown, 22)) + 82, 46), 23, (*_DARK, 235))
    setter.draw(ImageDraw.Draw(picture), (58, 31), shown, 22, WHITE)
    return picture


def credits_line(handles: str, license_: str, setter: Typesetter, theme: Theme) -> Image.Image:
    """Handles at the left, license at the right, over the whole width."""
    picture = Image.new("RGBA", (WIDTH - 2 * MARGIN, 32), (*WHITE, 0))
    draw = ImageDraw.Draw(picture)
    setter.draw(draw, (0, 22), setter.fitted(handles, 20, 620), 20, theme.quiet)
    shown = setter.fitted(license_, 18, 420)
    setter.draw(draw, (picture.width - 2 - setter.width(shown, 18), 22), shown, 18, theme.quiet)
    return picture


def progress(image: Image.Image, spans: Sequence[tuple[float, float]], seconds: float, theme: Theme) -> None:
    """One bar for each part along the lower edge, filled as far as the video has come."""
    draw = ImageDraw.Draw(image)
    pixels_a_second = (WIDTH - 2 * MARGIN + _GAP) / spans[-1][1]
    for start, end in spans:
        left, right = MARGIN + start * pixels_a_second, MARGIN + end * pixels_a_second - _GAP
        draw.rectangle(
            (left, HEIGHT - 26, right, HEIGHT - 22), fill=mixed(theme.corners[1], theme.unspoken, 0.5)
        )
        if seconds > start:
            done = min(right, MARGIN + seconds * pixels_a_second)
            draw.rectangle((left, HEIGHT - 26, done, HEIGHT - 22), fill=theme.accent)


def _rounded(size: tuple[int, int], radius: int, fill: tuple[int, int, int, int]) -> Image.Image:
    width, height = size
    mask = Image.new("L", (width * _SCALE, height * _SCALE))
    box = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius * _SCALE, fill=fill[3])
    picture = Image.new("RGBA", size, fill)
    picture.putalpha(mask.resize(size, Image.Resampling.BOX))
    return picture


def _initials(company: str) -> str:
    words = [word for word in company.split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper()
