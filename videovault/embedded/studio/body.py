"""The avatar from the neck down, cut to the round stage it stands in."""

from PIL import Image

from videovault.embedded.studio.face import shade
from videovault.embedded.studio.looks import Look
from videovault.embedded.studio.pen import Pen, mirrored, symmetric
from videovault.embedded.studio.theme import RGB, WHITE, mixed

SIZE = (464, 464)
AXIS = 232.0
_SHOULDERS = [(232, 316), (286, 328), (352, 346), (404, 384), (430, 440), (440, 520), (232, 540)]
_NECK = [(196, 240), (268, 240), (270, 306), (284, 330), (232, 352), (180, 330), (194, 306)]


def body(look: Look) -> Image.Image:
    """RGBA of ``SIZE``, the stage's square."""
    pen = Pen(SIZE)
    colour = look.outfit_colour
    if look.outfit == "hoodie":
        pen.oval((AXIS, 330), 104, 50, shade(colour, 0.28))
    pen.blob(symmetric(_SHOULDERS, AXIS), colour)
    match look.outfit:
        case "tee":
            _tee(pen, look)
        case "turtleneck":
            _turtleneck(pen, look)
        case "blazer":
            _blazer(pen, look)
        case "hoodie":
            _hoodie(pen, look)
    if look.hair == "scarf":
        _drape(pen, look.hair_colour)
    return pen.picture()


def _neck(pen: Pen, skin: RGB) -> None:
    pen.polygon(_NECK, skin)
    pen.blob([(196, 240), (268, 240), (269, 288), (232, 306), (195, 288)], shade(skin, 0.2))


def _tee(pen: Pen, look: Look) -> None:
    pen.oval((AXIS, 326), 68, 40, shade(look.outfit_colour, 0.22))
    pen.oval((AXIS, 323), 60, 34, look.skin)
    _neck(pen, look.skin)
    _sleeves(pen, look.outfit_colour)


def _turtleneck(pen: Pen, look: Look) -> None:
    _neck(pen, look.skin)
    collar = mixed(look.outfit_colour, WHITE, 0.1)
    pen.blob([(188, 294), (232, 304), (276, 294), (290, 334), (232, 364), (174, 334)], collar)
    pen.stroke([(180, 338), (232, 357), (284, 338)], 4, shade(look.outfit_colour, 0.25))
    _sleeves(pen, look.outfit_colour)


def _blazer(pen: Pen, look: Look) -> None:
    pen.polygon([(176, 322), (288, 322), (232, 462)], (244, 245, 250))
    _neck(pen, look.skin)
    lapel = shade(look.outfit_colour, 0.24)
    left = [(182, 312), (158, 346), (178, 366), (166, 378), (232, 470), (204, 372)]
    collar = [(190, 310), (180, 340), (212, 376), (232, 352)]
    for side in (left, mirrored(left, AXIS)):
        pen.polygon(side, lapel)
    for side in (collar, mirrored(collar, AXIS)):
        pen.polygon(side, WHITE)
    _sleeves(pen, look.outfit_colour)


def _hoodie(pen: Pen, look: Look) -> None:
    pen.oval((AXIS, 328), 70, 44, WHITE)
    _neck(pen, look.skin)
    edge = shade(look.outfit_colour, 0.2)
    pen.stroke([(164, 322), (184, 362), (232, 384), (280, 362), (300, 322)], 16, edge)
    for x in (206.0, 258.0):
        pen.stroke([(x, 378), (x + 2, 410), (x - 1, 440)], 5, (240, 240, 244))
    _sleeves(pen, look.outfit_colour)


def _sleeves(pen: Pen, colour: RGB) -> None:
    seam = [(110.0, 470.0), (116.0, 432.0), (128.0, 404.0)]
    for side in (seam, mirrored(seam, AXIS)):
        pen.stroke(side, 4, shade(colour, 0.25))


def _drape(pen: Pen, colour: RGB) -> None:
    pen.blob([(150, 330), (180, 270), (284, 270), (314, 330), (290, 372), (232, 390), (174, 372)], colour)
    pen.stroke([(172, 340), (226, 362), (292, 336)], 5, shade(colour, 0.25))
