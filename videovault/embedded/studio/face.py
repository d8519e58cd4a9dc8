"""The avatar's head without its hair: face, eyes that blink, and mouths for speaking."""

from typing import Literal

from PIL import Image

from videovault.embedded.studio.looks import Look
from videovault.embedded.studio.pen import Pen, Point, mirrored, symmetric
from videovault.embedded.studio.theme import RGB, WHITE, mixed

Mouth = Literal["closed", "half", "open", "wide", "round"]

SIZE = (360, 400)
AXIS = 180.0
OUTLINE = symmetric([(180, 86), (232, 98), (262, 140), (266, 200), (257, 250), (229, 293), (180, 314)], AXIS)
_INK = (38, 30, 36)
_MOUTH_AT = (180.0, 266.0)
_LIP, _INSIDE, _TONGUE = (186, 84, 84), (96, 30, 40), (214, 104, 108)
# Half width, rise of the corners, and depth of the opening, in pixels.
_OPENINGS: dict[Mouth, tuple[float, float, float]] = {
    "half": (20, 2, 12),
    "open": (24, 2, 25),
    "wide": (28, 5, 15),
    "round": (13, -6, 18),
}


def shade(colour: RGB, amount: float) -> RGB:
    """Darker, by 0 to 1."""
    return mixed(colour, (40, 16, 36), amount)


def head(look: Look) -> Image.Image:
    """RGBA of ``SIZE``: everything that does not move by itself."""
    pen = Pen(SIZE)
    if look.hair not in {"bob", "long", "scarf"}:
        _ears(pen, look)
    pen.blob(OUTLINE, look.skin)
    _cheeks(pen, look.skin)
    if look.beard:
        _beard(pen, look.hair_colour)
    _nose(pen, look.skin)
    return pen.picture()


def eyes(look: Look, *, open_: bool) -> Image.Image:
    """RGBA of ``SIZE``: eyes, brows and glasses only."""
    pen = Pen(SIZE)
    for side in (-1.0, 1.0):
        centre = (AXIS + side * 37, 200.0)
        _open_eye(pen, centre) if open_ else _closed_eye(pen, centre)
        _brow(pen, side, shade(look.hair_colour, 0.25))
    if look.glasses:
        _glasses(pen)
    return pen.picture()


def mouth(shape: Mouth) -> Image.Image:
    """RGBA of ``SIZE``: the mouth only."""
    pen = Pen(SIZE)
    x, y = _MOUTH_AT
    if shape == "closed":
        pen.stroke(
            [(x - 24, y - 3), (x - 11, y + 5), (x, y + 7), (x + 11, y + 5), (x + 24, y - 3)], 5.5, _LIP
        )
        return pen.picture()
    half, rise, depth = _OPENINGS[shape]
    pen.blob(_opening(half + 4, rise, depth + 7, y - 3.5), _LIP)
    pen.blob(_opening(half, rise, depth, y), _INSIDE)
    if depth > 16:
        pen.oval((x, y + depth * 0.82), half * 0.55, depth * 0.2, _TONGUE)
    if shape != "round":
        pen.blob(_opening(half - 4, rise, 6, y), WHITE)
    return pen.picture()


def _opening(half: float, rise: float, depth: float, top: float) -> list[Point]:
    x = AXIS
    left = [(x - half * 0.5, top + 0.5), (x - half, top - rise + 2), (x - half * 0.62, top + depth * 0.72)]
    return [(x, top), *mirrored(left, x), (x, top + depth), *left[::-1]]


def _ears(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        x = AXIS + side * 87
        pen.oval((x, 208), 15, 24, look.skin)
        pen.oval((x + side * 1, 210), 7, 13, shade(look.skin, 0.16))
        if look.earrings:
            pen.oval((x + side * 3, 236), 6, 6, (248, 206, 110))


def _cheeks(pen: Pen, skin: RGB) -> None:
    blush = mixed(skin, (226, 92, 92), 0.14 * sum(skin) / 640)
    for side in (-1, 1):
        pen.oval((AXIS + side * 58, 240), 18, 12, blush)


def _beard(pen: Pen, hair: RGB) -> None:
    right = [(180, 243), (206, 243), (230, 250), (250, 238), (264, 205), (258, 252), (230, 296), (180, 320)]
    pen.blob(symmetric([(x, y) for x, y in right], AXIS), hair)


def _nose(pen: Pen, skin: RGB) -> None:
    pen.stroke([(183, 206), (190, 230), (186, 238), (176, 239)], 4, shade(skin, 0.22))


def _open_eye(pen: Pen, centre: Point) -> None:
    x, y = centre
    pen.oval((x, y), 15, 11.5, WHITE)
    pen.oval((x, y), 9, 9.5, (86, 58, 44))
    pen.oval((x, y), 4.6, 4.8, _INK)
    pen.oval((x + 3, y - 3.5), 2.6, 2.6, WHITE)
    pen.stroke([(x - 16, y - 2), (x - 9, y - 10), (x, y - 12.5), (x + 9, y - 10), (x + 16, y - 2)], 4, _INK)


def _closed_eye(pen: Pen, centre: Point) -> None:
    x, y = centre
    pen.stroke([(x - 15, y), (x - 7, y + 6), (x, y + 7.5), (x + 7, y + 6), (x + 15, y)], 4, _INK)


def _brow(pen: Pen, side: float, colour: RGB) -> None:
    curve = [(AXIS + side * dx, y) for dx, y in ((19, 175), (34, 169), (48, 171), (58, 178))]
    pen.stroke(curve, 6.5, colour)


def _glasses(pen: Pen) -> None:
    for side in (-1, 1):
        pen.frame((AXIS + side * 38, 202), 62, 50, 20, 4.5, _INK)
        pen.stroke([(AXIS + side * 68, 196), (AXIS + side * 88, 200)], 4.5, _INK)
    pen.stroke([(173, 198), (180, 195), (187, 198)], 4.5, _INK)
