"""Paints houses: facades in perspective with windows, shops and roofs, in rows or along a street.

The drawing of a wall is the same for every direction; only the projection of its two coordinates
(`Wall`) differs.
"""

from collections.abc import Callable

import numpy as np

from lvt.demo.backdrops import stuff_label
from lvt.demo.canvas import Canvas, Point, View
from lvt.demo.palette import RGB, mix, pick, shade

WALLS: tuple[RGB, ...] = (
    (226, 190, 150), (206, 122, 92), (236, 214, 178), (178, 96, 76), (160, 172, 186),
    (242, 226, 206), (146, 176, 170), (222, 164, 120), (196, 160, 176), (236, 200, 110),
    (128, 142, 164), (206, 200, 190),
)  # fmt: skip
ROOFS: tuple[RGB, ...] = ((150, 70, 54), (92, 84, 92), (122, 88, 70), (74, 88, 104), (176, 92, 62))

Wall = Callable[[float, float], Point]
"""Canvas position of a point on a wall: share of the width, metres above ground."""


def flat_wall(view: View, x0: float, x1: float, z: float) -> Wall:
    """A wall that faces the camera."""
    return lambda u, up: view.point(x0 + (x1 - x0) * u, z, up)


def side_wall(view: View, x: float, z0: float, z1: float) -> Wall:
    """A wall along the street."""
    return lambda u, up: view.point(x, z0 + (z1 - z0) * u, up)


def _panel(
    canvas: Canvas, wall: Wall, u: tuple[float, float], up: tuple[float, float], colour: RGB,
    lit: float = 0.0,
) -> None:  # fmt: skip
    corners = [wall(u[0], up[0]), wall(u[1], up[0]), wall(u[1], up[1]), wall(u[0], up[1])]
    canvas.polygon(corners, colour, lit)


def paint_facade(
    canvas: Canvas, rng: np.random.Generator, wall: Wall, length: float, floors: int, depth: float
) -> float:
    """Paints a house front with windows and ground floor; returns its height (m)."""
    canvas.label = stuff_label("building")
    canvas.set_depth(depth)
    colour = pick(rng, WALLS)
    storey = float(rng.uniform(2.9, 3.4))
    height = floors * storey + 0.6
    _panel(canvas, wall, (0, 1), (0, height), colour)
    trim = mix(colour, (255, 250, 240), 0.45) if rng.random() < 0.6 else shade(colour, 0.72)
    _panel(canvas, wall, (0, 1), (height - 0.45, height), trim)
    shop = rng.random() < 0.55
    if shop:
        _shop(canvas, rng, wall, length)
    bays = max(2, round(length / float(rng.uniform(2.0, 2.9))))
    share = float(rng.uniform(0.42, 0.58))
    tall = float(rng.uniform(1.4, 1.9))
    lamps = canvas.light.lamps
    shutters = not shop and rng.random() < 0.4
    leaf = pick(rng, ROOFS)
    lit_windows = rng.random((floors, bays)) < 0.55 * lamps
    for floor in range(1 if shop else 0, floors):
        sill = floor * storey + 0.85
        if rng.random() < 0.3:
            _panel(canvas, wall, (0, 1), (sill - 0.5, sill - 0.36), trim)
        for bay in range(bays):
            u0 = (bay + 0.5 - share / 2) / bays
            u1 = u0 + share / bays
            edge = 0.09 / bays
            _panel(canvas, wall, (u0 - edge, u1 + edge), (sill - 0.12, sill + tall + 0.1), trim)
            lit = bool(lit_windows[floor, bay])
            glass: RGB = (255, 214, 130) if lit else (86, 108, 128)
            _panel(canvas, wall, (u0, u1), (sill, sill + tall), glass, lamps if lit else 0.0)
            if not lit:
                _panel(canvas, wall, (u0, u1), (sill + tall * 0.55, sill + tall), (116, 142, 162))
            if shutters:
                for a in (u0 - 0.16 / bays, u1):
                    _panel(canvas, wall, (a, a + 0.16 / bays), (sill, sill + tall), leaf)
    return height


def _shop(canvas: Canvas, rng: np.random.Generator, wall: Wall, length: float) -> None:
    """Paints a shop on the ground floor: glass, a door and a striped awning."""
    lamps = canvas.light.lamps
    front = pick(rng, ((62, 84, 90), (120, 58, 56), (66, 104, 80), (76, 70, 96), (150, 104, 62)))
    _panel(canvas, wall, (0.03, 0.97), (0, 3.0), front)
    glass = mix((96, 124, 140), (255, 222, 150), lamps)
    for a, b in ((0.07, 0.4), (0.6, 0.93)):
        _panel(canvas, wall, (a, b), (0.5, 2.2), glass, lamps)
    _panel(canvas, wall, (0.45, 0.55), (0, 2.2), shade(front, 0.62))
    cloth = pick(rng, ((214, 74, 66), (66, 128, 170), (240, 184, 70), (80, 150, 110)))
    stripes = max(4, round(length / 0.9))
    for i in range(stripes):
        a = 0.03 + 0.94 * i / stripes
        colour = cloth if i % 2 else (248, 242, 230)
        _panel(canvas, wall, (a, a + 0.94 / stripes), (2.2, 2.85), colour)


def paint_roof(
    canvas: Canvas, rng: np.random.Generator, wall: Wall, height: float, length: float
) -> None:
    """Paints a pitched roof with a chimney over a wall that faces the camera."""
    colour = pick(rng, ROOFS)
    rise = float(rng.uniform(1.2, 2.6))
    over = 0.3 / length
    inset = 0.08 if rng.random() < 0.6 else 0.5
    chimney = float(rng.uniform(0.2, 0.7))
    _panel(canvas, wall, (chimney, chimney + 0.8 / length), (height, height + rise + 0.8),
           shade(colour, 0.7))  # fmt: skip
    canvas.polygon([wall(-over, height), wall(1 + over, height), wall(1 - inset, height + rise),
                    wall(inset, height + rise)], colour)  # fmt: skip
    canvas.polygon([wall(-over, height), wall(1 + over, height), wall(1 + over, height + 0.2),
                    wall(-over, height + 0.2)], shade(colour, 0.75))  # fmt: skip


def paint_terrace(
    canvas: Canvas,
    rng: np.random.Generator,
    z: float,
    floors: tuple[int, int],
    span: tuple[float, float],
) -> None:
    """Paints a row of houses at depth `z` (m), over the share `span` of the picture's width."""
    view = canvas.view
    scale = view.focal / z
    x = (span[0] * view.width - view.centre) / scale
    end = (span[1] * view.width - view.centre) / scale
    while x < end:
        length = float(rng.uniform(5.5, 11.0))
        wall = flat_wall(view, x, x + length, z)
        height = paint_facade(
            canvas, rng, wall, length, int(rng.integers(floors[0], floors[1] + 1)), z
        )
        if rng.random() < 0.65:
            paint_roof(canvas, rng, wall, height, length)
        x += length


def paint_street_side(
    canvas: Canvas, rng: np.random.Generator, x: float, near: float, far: float
) -> None:
    """Paints houses along one side of a street to the horizon, `x` m beside its middle."""
    view = canvas.view
    edges = [near]
    while edges[-1] < far:
        edges.append(edges[-1] + float(rng.uniform(7.0, 13.0)))
    outward = 1.0 if x > 0 else -1.0
    # The side that faces away from the sun is darker.
    dim = 0.16 if outward == canvas.light.side else 0.0
    for z0, z1 in zip(edges[-2::-1], edges[:0:-1], strict=True):
        wall = side_wall(view, x, z0, z1)
        height = paint_facade(canvas, rng, wall, z1 - z0, int(rng.integers(2, 5)), z1)
        corners = [wall(0, 0), wall(1, 0), wall(1, height), wall(0, height)]
        if dim:
            canvas.veil_polygon(corners, (20, 24, 56), dim)
        gable = flat_wall(view, x, x + outward * 12.0, z0)
        _panel(canvas, gable, (0, 1), (0, height), shade(pick(rng, WALLS), 0.8))


def paint_skyline(canvas: Canvas, rng: np.random.Generator, depth: float) -> None:
    """Paints plain towers in the distance."""
    view = canvas.view
    canvas.label = stuff_label("building")
    canvas.set_depth(depth, 0.7)
    colour = mix(pick(rng, WALLS), (120, 130, 150), 0.5)
    scale = view.focal / depth
    x = -0.05 * view.width
    while x < view.width:
        width = float(rng.uniform(6.0, 15.0)) * scale
        tall = float(rng.uniform(7.0, 26.0)) * scale
        tone = shade(colour, float(rng.uniform(0.8, 1.15)))
        top = view.horizon - tall
        end, foot = x + width, view.horizon + 3
        canvas.polygon([(x, top), (end, top), (end, foot), (x, foot)], tone)
        for row in range(1, int(tall / (3.6 * scale))):
            y = top + row * 3.6 * scale
            for column in range(1, int(width / (3.0 * scale))):
                lit = rng.random() < 0.4 * canvas.light.lamps
                wx = x + column * 3.0 * scale
                canvas.polygon([(wx - scale, y - scale), (wx, y - scale), (wx, y + 0.6 * scale),
                                (wx - scale, y + 0.6 * scale)],
                               (255, 216, 140) if lit else shade(tone, 0.8),
                               canvas.light.lamps if lit else 0.0)  # fmt: skip
        x += width
