"""The avatar in motion: a head that bobs and tilts on a still body, eyes that blink, a mouth that speaks."""

import math
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw

from videovault.embedded.studio import body, face, hair
from videovault.embedded.studio.captions import Cue
from videovault.embedded.studio.face import Mouth
from videovault.embedded.studio.looks import look_of
from videovault.embedded.studio.theme import Theme, mixed

STAGE = body.SIZE[0]
_HALO = 34
# Where the face's picture lies on the stage: the chin over the neck, the hair above the stage's edge.
_HEAD_AT = (round(body.AXIS - face.AXIS), -36)
_PIVOT = (face.AXIS, 300.0)
_BLINK_EVERY, _BLINK_SECONDS = 3.1, 0.16
_SHAPES: dict[str, Mouth] = {
    **dict.fromkeys("aá", "open"),
    **dict.fromkeys("eiyé", "wide"),
    **dict.fromkeys("ouwqöü", "round"),
    **dict.fromkeys("mbp.,;:!?…", "closed"),
}


class Avatar:
    """One presenter on a round stage in the colours of the theme."""

    def __init__(self, name: str, theme: Theme) -> None:
        look = look_of(name)
        disc = _disc(STAGE)
        self._stage = _stage(theme, disc)
        behind = hair.behind(look)
        # It has one colour: moving its outline alone is four times as fast.
        self._behind = behind and behind.getchannel("A")
        self._behind_colour = Image.new("RGB", face.SIZE, hair.behind_colour(look))
        self._body = body.body(look)
        self._body_mask = ImageChops.multiply(self._body.getchannel("A"), disc)
        self._head = face.head(look)
        self._hair = hair.in_front(look)
        self._eyes = {open_: face.eyes(look, open_=open_) for open_ in (True, False)}

    def draw(self, image: Image.Image, at: tuple[int, int], seconds: float, mouth: Mouth) -> None:
        """Paste the avatar; ``at`` is the top left corner of the stage's square."""
        image.paste(self._stage, (at[0] - _HALO, at[1] - _HALO), self._stage)
        place = (at[0] + _HEAD_AT[0], at[1] + _HEAD_AT[1])
        if self._behind is not None:
            image.paste(self._behind_colour, place, _posed(self._behind, seconds))
        image.paste(self._body, at, self._body_mask)
        head = _posed(self._expression(mouth, open_eyes=_eyes_open(seconds)), seconds)
        image.paste(head, place, head)

    @lru_cache(maxsize=16)  # noqa: B019 - an avatar lives as long as one render, whose process then ends
    def _expression(self, mouth: Mouth, *, open_eyes: bool) -> Image.Image:
        picture = self._head.copy()
        for layer in (face.mouth(mouth), self._eyes[open_eyes], self._hair):
            picture.alpha_composite(layer)
        return picture


def mouth_at(cue: Cue, seconds: float) -> Mouth:
    """The shape of the letter that is being said; closed in the rests."""
    for word, (start, end) in zip(cue.page.words, cue.said, strict=True):
        if start <= seconds < end:
            letters = word.text.lower() + "."
            return _SHAPES.get(letters[int((seconds - start) / (end - start) * len(letters))], "half")
    return "closed"


def _eyes_open(seconds: float) -> bool:
    return (seconds + 1.6) % _BLINK_EVERY > _BLINK_SECONDS


def _posed(picture: Image.Image, seconds: float) -> Image.Image:
    """Moved by fractions of a pixel, so that slow motion does not step."""
    angle = math.radians(1.7 * math.sin(seconds * 1.1))
    move_x, move_y = 3.0 * math.sin(seconds * 1.4), 3.2 * math.sin(seconds * 2.3)
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = _PIVOT[0] + move_x, _PIVOT[1] + move_y
    matrix = (cos, sin, _PIVOT[0] - cos * x - sin * y, -sin, cos, _PIVOT[1] + sin * x - cos * y)
    return picture.transform(picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _disc(size: int, scale: int = 4) -> Image.Image:
    disc = Image.new("L", (size * scale, size * scale))
    ImageDraw.Draw(disc).ellipse((0, 0, size * scale - 1, size * scale - 1), fill=255)
    return disc.resize((size, size), Image.Resampling.BOX)


def _stage(theme: Theme, disc: Image.Image) -> Image.Image:
    """The disc with its own light, and two faint rings around it."""
    whole = STAGE + 2 * _HALO
    picture = Image.new("RGBA", (whole, whole), (*theme.stage[0], 0))
    for width, strength in ((whole, 22), (whole - _HALO, 44)):
        ring = _disc(width).point([round(level / 255 * strength) for level in range(256)])
        offset = (whole - width) // 2
        picture.alpha_composite(_filled(theme.stage[0], ring), (offset, offset))
    light = Image.linear_gradient("L").resize(disc.size)
    top = Image.new("RGB", disc.size, mixed(theme.stage[0], theme.stage[1], 0.25))
    filled = Image.composite(Image.new("RGB", disc.size, theme.stage[1]), top, light)
    filled.putalpha(disc)
    picture.alpha_composite(filled, (_HALO, _HALO))
    return picture


def _filled(colour: tuple[int, int, int], mask: Image.Image) -> Image.Image:
    picture = Image.new("RGBA", mask.size, (*colour, 0))
    picture.putalpha(mask)
    return picture
