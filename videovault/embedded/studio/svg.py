"""Drawing with smooth edges, by resvg."""

import io

import resvg_py
from PIL import Image


def render_svg(svg: str, style_sheet: str = "") -> Image.Image:
    """RGBA, in the size of the drawing; the style sheet overrides its attributes."""
    png = resvg_py.svg_to_bytes(svg_string=svg, style_sheet=style_sheet, skip_system_fonts=True)
    return Image.open(io.BytesIO(png))


def rounded_box(
    width: int, height: int, radius: int, colour: tuple[int, int, int], opacity: float = 1
) -> Image.Image:
    """A filled rectangle with round corners."""
    return render_svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<rect width="{width}" height="{height}" rx="{radius}" fill="rgb{colour}" fill-opacity="{opacity}"/></svg>'
    )
