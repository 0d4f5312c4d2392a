"""Draw the bundle's icon: a conch, which is what hailuo means, around a play button.

Usage: python scripts/draw_icon.py icon.png
"""

import math
import sys
from pathlib import Path

from PIL import Image, ImageDraw

SIZE = 512
# Drawn larger and scaled down, which makes the edges smooth.
_SCALE = 4
_TOP = (16, 42, 92)
_BOTTOM = (18, 148, 160)
_SHELL = (244, 250, 252)
_CORNER = 0.22
_TURNS = 1.75
_STROKE = (0.022, 0.052)
_SPIRAL = (0.185, 0.40)
_PLAY = 0.105
_DOTS = 900


def draw_icon() -> Image.Image:
    """Return the icon: `SIZE` pixels square, transparent at its corners."""
    size = SIZE * _SCALE
    column = Image.new("RGB", (1, size))
    for y in range(size):
        part = y / (size - 1)
        mixed = (round(a + (b - a) * part) for a, b in zip(_TOP, _BOTTOM, strict=True))
        column.putpixel((0, y), tuple(mixed))
    icon = column.resize((size, size)).convert("RGBA")
    mask = Image.new("L", (size, size))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size - 1, size - 1), size * _CORNER, fill=255)
    icon.putalpha(mask)
    draw = ImageDraw.Draw(icon)
    _draw_shell(draw, size)
    _draw_play(draw, size)
    return icon.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _draw_shell(draw: ImageDraw.ImageDraw, size: int) -> None:
    """Draw a spiral of dots that widens from the middle outwards."""
    for dot in range(_DOTS):
        part = dot / (_DOTS - 1)
        angle = 2 * math.pi * _TURNS * part - math.pi / 3
        distance = _between(_SPIRAL, part) * size
        x = size / 2 + distance * math.cos(angle)
        y = size / 2 + distance * math.sin(angle)
        radius = _between(_STROKE, part) * size
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_SHELL)


def _draw_play(draw: ImageDraw.ImageDraw, size: int) -> None:
    corners = (0, 2 * math.pi / 3, -2 * math.pi / 3)
    radius = _PLAY * size
    draw.polygon(
        [(size / 2 + radius * math.cos(at), size / 2 + radius * math.sin(at)) for at in corners],
        fill=_SHELL,
    )


def _between(ends: tuple[float, float], part: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * part


if __name__ == "__main__":
    draw_icon().save(Path(sys.argv[1]), optimize=True)
