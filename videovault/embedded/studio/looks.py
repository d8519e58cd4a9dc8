"""What the avatars look like: a small cast known by name, and a look of its own for any other name."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from videovault.embedded.studio.theme import RGB

Hair = Literal["short", "swept", "bob", "long", "bun", "curly", "buzz", "scarf"]
Outfit = Literal["blazer", "tee", "turtleneck", "hoodie"]


@dataclass(frozen=True)
class Look:
    """Colours and features of one avatar."""

    skin: RGB
    hair_colour: RGB
    hair: Hair
    outfit: Outfit
    outfit_colour: RGB
    glasses: bool = False
    beard: bool = False
    earrings: bool = False


SKINS: tuple[RGB, ...] = (
    (255, 220, 196),
    (245, 201, 170),
    (226, 172, 132),
    (198, 140, 98),
    (154, 102, 70),
    (112, 72, 50),
)
BLACK_HAIR, DARK_BROWN, BROWN = (34, 29, 33), (62, 42, 34), (104, 66, 42)
AUBURN, BLOND, GREY = (146, 70, 40), (216, 170, 96), (178, 180, 188)
HAIR_COLOURS: tuple[RGB, ...] = (BLACK_HAIR, DARK_BROWN, BROWN, AUBURN, BLOND)
NAVY, TEAL, BERRY, SAND, SAGE, CORAL = (
    (40, 56, 104), (22, 110, 116), (140, 46, 92), (206, 176, 134), (96, 134, 112), (226, 104, 88),
)  # fmt: skip
OUTFIT_COLOURS: tuple[RGB, ...] = (NAVY, TEAL, BERRY, SAND, SAGE, CORAL)
HAIRS: tuple[Hair, ...] = ("short", "swept", "bob", "long", "bun", "curly")
OUTFITS: tuple[Outfit, ...] = ("blazer", "tee", "turtleneck", "hoodie")

CAST = {
    "maya": Look(SKINS[3], BLACK_HAIR, "long", "blazer", BERRY, earrings=True),
    "daniel": Look(SKINS[1], BROWN, "swept", "blazer", NAVY),
    "sofia": Look(SKINS[1], AUBURN, "bob", "turtleneck", TEAL, glasses=True),
    "marcus": Look(SKINS[5], BLACK_HAIR, "buzz", "turtleneck", CORAL, beard=True),
    "aisha": Look(SKINS[2], NAVY, "scarf", "blazer", SAND),
    "kenji": Look(SKINS[1], BLACK_HAIR, "short", "hoodie", SAGE, glasses=True),
    "emma": Look(SKINS[0], BLOND, "bun", "tee", CORAL, earrings=True),
    "amara": Look(SKINS[4], BLACK_HAIR, "curly", "tee", TEAL, earrings=True),
    "james": Look(SKINS[0], GREY, "short", "blazer", TEAL, glasses=True, beard=True),
}


def look_of(avatar: str) -> Look:
    """The cast member whose first name it is; else a look made from the name, always the same one."""
    name = " ".join(avatar.split()).casefold()
    return CAST.get(name.partition(" ")[0]) or _look_from(hashlib.sha256(name.encode()).digest())


def _look_from(digest: bytes) -> Look:
    skin = digest[0] % len(SKINS)
    natural = HAIR_COLOURS if skin < 3 else HAIR_COLOURS[:3]
    return Look(
        skin=SKINS[skin],
        hair_colour=natural[digest[1] % len(natural)],
        hair=HAIRS[digest[2] % len(HAIRS)],
        outfit=OUTFITS[digest[3] % len(OUTFITS)],
        outfit_colour=OUTFIT_COLOURS[digest[4] % len(OUTFIT_COLOURS)],
        glasses=digest[5] % 4 == 0,
        earrings=digest[6] % 3 == 0,
    )
