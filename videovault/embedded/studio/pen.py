"""A pen for smooth figures: draws four times as large as wanted, with curves through points, and scales down."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from videovault.embedded.studio.theme import RGB

Point = tuple[float, float]
_SCALE = 4
_STEPS = 12


class Pen:
    """Draws on a transparent canvas of ``size``; every coordinate is in pixels of the finished image."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._image = Image.new("RGBA", (size[0] * _SCALE, size[1] * _SCALE), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self._image)

    def picture(self) -> Image.Image:
        """RGBA, of the canvas's size."""
        return self._image.resize(self._size, Image.Resampling.BOX)

    def blob(self, points: Sequence[Point], fill: RGB) -> None:
        """A closed, filled, smooth shape through the points."""
        self._draw.polygon(_scaled(_curve(points, closed=True)), fill=fill)

    def erase(self, points: Sequence[Point]) -> None:
        """Make the inside of a smooth shape transparent again."""
        self._draw.polygon(_scaled(_curve(points, closed=True)), fill=(0, 0, 0, 0))

    def polygon(self, points: Sequence[Point], fill: RGB) -> None:
        self._draw.polygon(_scaled(points), fill=fill)

    def oval(self, centre: Point, radius_x: float, radius_y: float, fill: RGB) -> None:
        self._draw.ellipse(self._box(centre, radius_x, radius_y), fill=fill)

    def lower_half(self, centre: Point, radius_x: float, radius_y: float, fill: RGB) -> None:
        self._draw.chord(self._box(centre, radius_x, radius_y), 0, 180, fill=fill)

    def stroke(self, points: Sequence[Point], width: float, fill: RGB) -> None:
        """An open curve through the points, with round ends."""
        path = _scaled(_curve(points, closed=False))
        radius = width * _SCALE / 2
        self._draw.line(path, fill=fill, width=round(width * _SCALE), joint="curve")
        for x, y in (path[0], path[-1]):
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)

    def frame(
        self, centre: Point, width: float, height: float, radius: float, line: float, colour: RGB
    ) -> None:
        """The outline of a rounded rectangle."""
        self._draw.rounded_rectangle(
            self._box(centre, width / 2, height / 2),
            radius * _SCALE,
            outline=colour,
            width=round(line * _SCALE),
        )

    def _box(self, centre: Point, radius_x: float, radius_y: float) -> tuple[float, float, float, float]:
        x, y = centre
        left, top, right, bottom = x - radius_x, y - radius_y, x + radius_x, y + radius_y
        return left * _SCALE, top * _SCALE, right * _SCALE, bottom * _SCALE


def mirrored(points: Sequence[Point], axis: float) -> list[Point]:
    """The same points on the other side of the upright line at x = ``axis``."""
    return [(2 * axis - x, y) for x, y in points]


def symmetric(right_half: Sequence[Point], axis: float) -> list[Point]:
    """A closed outline from its right half, given from top to bottom."""
    inner = [point for point in mirrored(right_half, axis)[::-1] if point[0] != axis]
    return [*right_half, *inner]


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(x * _SCALE, y * _SCALE) for x, y in points]


def _curve(points: Sequence[Point], *, closed: bool) -> list[Point]:
    """Catmull-Rom: it passes through every point, so outlines are easy to write down."""
    count = len(points)
    around = [points[-1], *points, points[0], points[1]] if closed else [points[0], *points, points[-1]]
    path = [
        _between(around[i : i + 4], step / _STEPS)
        for i in range(count if closed else count - 1)
        for step in range(_STEPS)
    ]
    return path if closed else [*path, points[-1]]


def _between(four: Sequence[Point], t: float) -> Point:
    x, y = (_spline([point[axis] for point in four], t) for axis in (0, 1))
    return x, y


def _spline(values: Sequence[float], t: float) -> float:
    a, b, c, d = values
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
