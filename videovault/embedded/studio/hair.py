"""Hair: what falls behind the shoulders, and what frames the face."""

import math

from PIL import Image

from videovault.embedded.studio.face import AXIS, OUTLINE, SIZE, shade
from videovault.embedded.studio.looks import Look
from videovault.embedded.studio.pen import Pen, Point, mirrored, symmetric
from videovault.embedded.studio.theme import RGB, WHITE, mixed

_BOB = [(180, 58), (246, 74), (286, 134), (293, 216), (290, 282), (262, 316), (180, 322)]
_LONG = [(180, 58), (248, 74), (288, 136), (297, 226), (304, 312), (296, 376), (250, 396), (180, 398)]
_SCARF = [(180, 56), (244, 72), (284, 136), (290, 216), (280, 288), (246, 344), (180, 366)]
_CURTAIN = [
    (184, 72),
    (140, 80),
    (102, 112),
    (84, 170),
    (80, 240),
    (94, 262),
    (104, 214),
    (120, 162),
    (158, 124),
    (188, 104),
]
_SHORT = [
    (92, 206), (86, 150), (106, 96), (146, 68), (190, 60), (238, 72), (268, 104), (276, 152), (268, 206),
    (258, 176), (248, 146), (216, 128), (176, 132), (140, 126), (114, 146), (102, 178),
]  # fmt: skip
_SWEPT = [
    (92, 204), (84, 146), (98, 92), (136, 56), (200, 42), (256, 58), (282, 98), (278, 150), (268, 204),
    (259, 172), (250, 138), (214, 124), (176, 116), (140, 128), (112, 142), (102, 178),
]  # fmt: skip
_CAP = [(180, 70), (236, 82), (268, 124), (273, 196), (262, 176), (246, 142), (214, 122), (180, 116)]
_BUZZ = [(180, 80), (234, 92), (266, 136), (269, 186), (260, 166), (246, 134), (214, 118), (180, 114)]


def behind_colour(look: Look) -> RGB:
    """The one colour of the hair behind: in the shadow of the rest."""
    return shade(look.hair_colour, 0.3)


def behind(look: Look) -> Image.Image | None:
    """RGBA of the face's ``SIZE``, to be put behind the body; None for hair that is all in front."""
    pen = Pen(SIZE)
    dark = behind_colour(look)
    match look.hair:
        case "bob":
            pen.blob(symmetric(_BOB, AXIS), dark)
        case "long":
            pen.blob(symmetric(_LONG, AXIS), dark)
        case "bun":
            pen.oval((AXIS, 54), 40, 37, dark)
        case "curly":
            _curls(pen, dark)
        case _:
            return None
    return pen.picture()


def in_front(look: Look) -> Image.Image:
    """RGBA of the face's ``SIZE``, to be put over the face."""
    pen = Pen(SIZE)
    colour = look.hair_colour
    shine = mixed(colour, WHITE, 0.16)
    match look.hair:
        case "short":
            pen.blob(_SHORT, colour)
            pen.stroke([(124, 112), (150, 92), (186, 84)], 7, shine)
        case "swept":
            pen.blob(_SWEPT, colour)
            pen.stroke([(126, 108), (158, 78), (204, 68)], 8, shine)
        case "bob" | "long":
            _curtains(pen, colour, shine)
        case "bun":
            pen.blob(symmetric(_CAP, AXIS), colour)
            pen.stroke([(122, 118), (146, 98), (176, 90)], 7, shine)
        case "curly":
            _fringe(pen, colour)
        case "buzz":
            pen.blob(symmetric(_BUZZ, AXIS), colour)
        case "scarf":
            _scarf(pen, colour)
    return pen.picture()


def _curtains(pen: Pen, colour: RGB, shine: RGB) -> None:
    pen.blob(_CURTAIN, colour)
    pen.blob(mirrored(_CURTAIN, AXIS), colour)
    pen.stroke([(112, 140), (128, 112), (156, 94)], 7, shine)


def _ring(centre: Point, radius: float, angles: range) -> list[Point]:
    turned = (math.radians(angle) for angle in angles)
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in turned]


def _curls(pen: Pen, colour: RGB) -> None:
    pen.oval((AXIS, 160), 118, 112, colour)
    for x, y in _ring((AXIS, 158), 104, range(150, 400, 20)):
        pen.oval((x, y), 33, 33, colour)


def _fringe(pen: Pen, colour: RGB) -> None:
    for x, y in _ring((AXIS, 196), 92, range(188, 356, 16)):
        pen.oval((x, y - 8), 27, 25, colour)


def _scarf(pen: Pen, colour: RGB) -> None:
    """All round the face: the shape is drawn as a band from the outer to the inner outline and back."""
    inner = [(AXIS + (x - AXIS) * 0.9, 204 + (y - 204) * 0.87) for x, y in OUTLINE]
    pen.blob(symmetric(_SCARF, AXIS), colour)
    pen.stroke([(262, 120), (274, 190), (262, 270), (226, 330)], 5, shade(colour, 0.25))
    pen.erase(inner)
