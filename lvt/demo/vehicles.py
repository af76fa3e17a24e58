"""Draws cars, buses, bicycles, boats and balloons, in metres."""

import numpy as np

from lvt.demo.canvas import Pen, Point
from lvt.demo.palette import RGB, mix, pick, shade

_PAINTS: tuple[RGB, ...] = (
    (206, 48, 48),
    (36, 92, 176),
    (240, 240, 236),
    (48, 52, 60),
    (244, 190, 40),
    (60, 140, 96),
    (166, 172, 178),
    (228, 116, 44),
    (112, 176, 208),
    (126, 42, 70),
    (224, 206, 172),
)
_BUS_PAINTS: tuple[RGB, ...] = (
    (200, 40, 44),
    (250, 190, 40),
    (40, 122, 178),
    (62, 150, 92),
    (240, 238, 228),
    (236, 124, 40),
)
_GLASS: RGB = (88, 120, 140)
_TYRE: RGB = (34, 34, 40)
_LAMP: RGB = (255, 246, 214)
_REAR: RGB = (214, 32, 36)

# Outline of the body, outline of the windows, x of the window post.
_CAR_SIDES: tuple[tuple[tuple[Point, ...], tuple[Point, ...], float], ...] = (
    (
        ((-2.15, 0.3), (2.15, 0.3), (2.2, 0.72), (1.25, 0.92), (0.55, 1.46), (-1.0, 1.5),
         (-2.0, 1.0), (-2.2, 0.62)),
        ((-1.6, 0.94), (-0.95, 1.38), (0.45, 1.36), (1.0, 0.94)),
        -0.25,
    ),
    (
        ((-1.9, 0.3), (1.85, 0.3), (1.95, 0.74), (1.15, 1.0), (0.5, 1.6), (-1.45, 1.64),
         (-1.9, 1.1), (-2.0, 0.5)),
        ((-1.55, 1.02), (-1.3, 1.5), (0.4, 1.48), (0.92, 1.02)),
        -0.4,
    ),
    (
        ((-2.35, 0.32), (2.2, 0.32), (2.3, 0.9), (1.75, 1.15), (1.2, 2.0), (-2.2, 2.08),
         (-2.4, 1.9), (-2.4, 0.5)),
        ((-0.2, 1.2), (-0.2, 1.84), (1.05, 1.82), (1.5, 1.2)),
        0.55,
    ),
)  # fmt: skip


def _wheel(pen: Pen, x: float, radius: float) -> None:
    pen.oval(x, radius, radius, radius, _TYRE)
    pen.oval(x, radius, radius * 0.56, radius * 0.56, (176, 180, 186))
    pen.oval(x, radius, radius * 0.2, radius * 0.2, (96, 100, 106))


def _beam(pen: Pen, x: float, y: float, colour: RGB, size: float = 0.13) -> None:
    pen.oval(x, y, size, size, colour, pen.canvas.light.lamps)
    pen.glow(x, y, 0.55, colour)


def car(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A car from the side, or from the `front` or `rear`."""
    paint = pick(rng, _PAINTS)
    pen.shadow(2.2 if pose == "side" else 1.0, 1.4)
    if pose == "side":
        _car_side(pen, rng, paint)
    else:
        _car_end(pen, rng, paint, front=pose == "front")


def _car_side(pen: Pen, rng: np.random.Generator, paint: RGB) -> None:
    body, glass, post = _CAR_SIDES[int(rng.choice(3, p=(0.45, 0.35, 0.2)))]
    pen.blob(body, paint)
    low, high = glass[0][1], glass[1][1]
    pen.polygon(((-2.1, 0.34), (2.1, 0.34), (2.05, 0.54), (-2.1, 0.54)), shade(paint, 0.7))
    pen.polygon(glass, _GLASS)
    middle = (glass[0][0] + glass[3][0]) / 2
    pen.polygon(
        ((middle - 0.5, low), (middle - 0.1, high), (middle + 0.2, high), (middle - 0.2, low)),
        mix(_GLASS, (255, 255, 255), 0.35),
    )
    pen.box(post - 0.05, low - 0.02, post + 0.05, high + 0.02, paint)
    pen.line(((-1.9, low - 0.1), (1.5, low - 0.1)), 0.05, shade(paint, 1.25))
    pen.line(((post, 0.5), (post, low)), 0.035, shade(paint, 0.72))
    _beam(pen, 2.02, 0.68, _LAMP)
    _beam(pen, -2.05, 0.76, _REAR)
    for x in (-1.32, 1.3):
        pen.oval(x, 0.36, 0.42, 0.42, shade(paint, 0.45))
        _wheel(pen, x, 0.34)


def _car_end(pen: Pen, rng: np.random.Generator, paint: RGB, front: bool) -> None:
    tall = float(rng.uniform(1.45, 1.75))
    for x in (-0.72, 0.72):
        pen.box(x - 0.13, 0.0, x + 0.13, 0.4, _TYRE)
    pen.blob(
        ((-0.92, 0.22), (0.92, 0.22), (0.94, 0.88), (0.82, 0.98), (0.62, tall), (-0.62, tall),
         (-0.82, 0.98), (-0.94, 0.88)),
        paint,
        1,
    )  # fmt: skip
    pen.polygon(((-0.72, 0.98), (0.72, 0.98), (0.55, tall - 0.12), (-0.55, tall - 0.12)), _GLASS)
    pen.polygon(
        ((-0.3, 0.98), (0.0, 0.98), (0.2, tall - 0.12), (-0.1, tall - 0.12)),
        mix(_GLASS, (255, 255, 255), 0.3),
    )
    pen.box(-0.9, 0.24, 0.9, 0.44, shade(paint, 0.66))
    pen.box(-0.26, 0.4, 0.26, 0.54, (232, 232, 222))
    if front:
        pen.box(-0.45, 0.58, 0.45, 0.7, shade(paint, 0.4))
    for x in (-0.7, 0.7):
        _beam(pen, x, 0.72, _LAMP if front else _REAR, 0.14)


def bus(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A bus from the side, or from the `front` or `rear`."""
    paint = pick(rng, _BUS_PAINTS)
    band = mix(paint, (255, 255, 255), 0.75) if sum(paint) < 620 else (40, 96, 150)
    pen.shadow(4.4 if pose == "side" else 1.3, 2.8)
    if pose == "side":
        _bus_side(pen, paint, band)
    else:
        _bus_end(pen, paint, band, front=pose == "front")


def _bus_side(pen: Pen, paint: RGB, band: RGB) -> None:
    lamps = pen.canvas.light.lamps
    glass = mix(_GLASS, (255, 226, 160), 0.75 * lamps)
    pen.blob(((-4.4, 0.32), (4.4, 0.32), (4.45, 2.0), (4.3, 3.0), (-4.4, 3.05)), paint, 1)
    pen.box(-4.2, 0.42, 4.2, 0.6, shade(paint, 0.68))
    pen.box(-4.2, 1.18, 4.2, 1.34, band)
    for i in range(5):
        x = -4.0 + 1.42 * i
        pen.box(x, 1.52, x + 1.26, 2.6, glass, lamps)
        pen.polygon(
            ((x + 0.2, 1.52), (x + 0.5, 1.52), (x + 0.8, 2.6), (x + 0.5, 2.6)),
            mix(glass, (255, 255, 255), 0.25),
            lamps,
        )
    pen.box(3.12, 0.5, 3.86, 2.6, mix(glass, (20, 30, 40), 0.25), lamps)
    pen.box(4.04, 1.4, 4.36, 2.6, mix(glass, (20, 30, 40), 0.15), lamps)
    pen.line(((-4.2, 2.86), (4.1, 2.84)), 0.07, shade(paint, 1.25))
    _beam(pen, 4.28, 0.74, _LAMP)
    for x in (-2.6, 2.5):
        pen.oval(x, 0.5, 0.56, 0.56, shade(paint, 0.4))
        _wheel(pen, x, 0.46)


def _bus_end(pen: Pen, paint: RGB, band: RGB, front: bool) -> None:
    lamps = pen.canvas.light.lamps
    for x in (-0.95, 0.95):
        pen.box(x - 0.17, 0.0, x + 0.17, 0.5, _TYRE)
    pen.blob(((-1.26, 0.28), (1.26, 0.28), (1.26, 2.0), (1.2, 3.05), (-1.2, 3.05), (-1.26, 2.0)),
             paint, 1)  # fmt: skip
    pen.box(-1.2, 0.32, 1.2, 0.54, shade(paint, 0.64))
    pen.box(-1.1, 1.26 if front else 1.5, 1.1, 2.5, mix(_GLASS, (255, 226, 160), 0.5 * lamps))
    pen.polygon(
        ((-0.6, 1.55), (-0.2, 1.55), (0.2, 2.5), (-0.2, 2.5)), mix(_GLASS, (255, 255, 255), 0.35)
    )
    pen.box(-0.75, 2.62, 0.75, 2.9, (36, 38, 44))
    pen.box(-0.6, 2.68, 0.6, 2.84, (250, 196, 70), lamps)
    pen.box(-1.1, 1.0, 1.1, 1.12, band)
    for x in (-0.95, 0.95):
        _beam(pen, x, 0.78, _LAMP if front else _REAR, 0.16)


def bicycle(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A parked bicycle from the side; its wheels are filled with pale spokes."""
    del pose
    paint = pick(rng, ((214, 60, 60), (40, 150, 150), (246, 200, 60), (90, 80, 190), (60, 60, 66)))
    pen.shadow(0.9, 0.8)
    for x in (-0.56, 0.56):
        pen.oval(x, 0.37, 0.37, 0.37, (42, 42, 48))
        pen.oval(x, 0.37, 0.27, 0.27, (190, 192, 190))
        pen.line(((x - 0.2, 0.22), (x + 0.2, 0.52)), 0.03, (120, 122, 126))
        pen.line(((x - 0.2, 0.52), (x + 0.2, 0.22)), 0.03, (120, 122, 126))
        pen.oval(x, 0.37, 0.07, 0.07, (60, 60, 66))
    seat, crank, head = (-0.2, 0.88), (-0.04, 0.36), (0.42, 0.86)
    for points in (((-0.56, 0.37), crank, head), ((-0.56, 0.37), seat, crank), (seat, head),
                   ((0.56, 0.37), head, (0.38, 1.02))):  # fmt: skip
        pen.line(points, 0.09, paint)
    pen.line(((0.24, 1.06), (0.44, 1.02)), 0.08, (40, 40, 46))
    pen.line(((-0.36, 0.94), (-0.06, 0.93)), 0.11, (52, 40, 36))
    pen.oval(-0.04, 0.36, 0.1, 0.1, (70, 70, 76))


def boat(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A `sail` boat, a `motor` boat or a `rowing` boat afloat."""
    hull = pick(rng, ((236, 236, 230), (190, 52, 48), (38, 84, 140), (40, 120, 110), (240, 180, 70),
                      (132, 88, 58)))  # fmt: skip
    sx, sy, scale = pen.spot.x, pen.spot.y, pen.spot.scale
    dark = pen.canvas.tone(mix(hull, (20, 40, 60), 0.6))
    for step in range(4):
        pen.canvas.veil_oval(
            sx,
            sy + (0.15 + 0.2 * step) * scale,
            (2.3 - 0.3 * step) * scale,
            0.16 * scale,
            dark,
            0.3,
        )
    if pose == "sail":
        _sails(pen, rng)
    elif pose == "motor":
        _cabin(pen)
    pen.blob(((-2.3, 0.75), (-2.1, 0.0), (1.8, 0.0), (2.6, 0.9), (1.0, 0.72)), hull, 1)
    pen.polygon(((-2.2, 0.32), (-2.08, 0.0), (1.78, 0.0), (2.1, 0.32)), shade(hull, 0.72))
    pen.line(((-2.15, 0.66), (2.3, 0.74)), 0.11, mix(hull, (255, 255, 255), 0.6))


def _sails(pen: Pen, rng: np.random.Generator) -> None:
    cloth = pick(rng, ((250, 248, 240), (250, 246, 232), (226, 90, 70), (250, 204, 90)))
    tall = float(rng.uniform(5.0, 6.4))
    pen.box(-0.07, 0.5, 0.07, tall + 0.2, (110, 84, 64))
    pen.polygon(((-0.1, 1.0), (-0.1, tall), (-0.9, tall * 0.55), (-2.0, 1.05)), cloth)
    pen.polygon(((-0.1, 1.0), (-0.1, tall), (-0.5, tall * 0.5), (-0.9, 1.02)), shade(cloth, 0.88))
    pen.polygon(((0.12, tall * 0.94), (2.2, 1.0), (0.12, 1.15)), shade(cloth, 0.95))


def _cabin(pen: Pen) -> None:
    pen.polygon(((-1.3, 0.6), (0.9, 0.6), (0.5, 1.75), (-1.3, 1.75)), (238, 238, 232))
    lamps = pen.canvas.light.lamps
    for x in (-1.05, -0.3):
        pen.box(x, 1.05, x + 0.6, 1.5, mix(_GLASS, (255, 220, 150), 0.7 * lamps), lamps)
    pen.box(-1.45, 1.72, 0.65, 1.88, (70, 84, 104))
    pen.box(-0.65, 1.88, -0.53, 2.9, (96, 100, 110))


def balloon(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A hot-air balloon about 10 m tall with coloured gores."""
    del pose
    sets: tuple[tuple[RGB, RGB], ...] = (
        ((222, 60, 64), (250, 214, 80)),
        ((60, 110, 200), (248, 244, 232)),
        ((240, 130, 50), (120, 60, 150)),
        ((50, 160, 140), (250, 226, 120)),
        ((230, 90, 150), (255, 240, 230)),
    )
    one, two = sets[int(rng.integers(len(sets)))]
    for x in (-0.55, 0.55):
        pen.line(((x * 2.2, 3.4), (x, 1.2)), 0.12, (96, 80, 66))
    pen.blob(((-3.1, 4.8), (-1.0, 2.4), (1.0, 2.4), (3.1, 4.8), (4.0, 7.6), (2.8, 10.4),
              (0.0, 11.2), (-2.8, 10.4), (-4.0, 7.6)), one, 3)  # fmt: skip
    for share in (-0.78, -0.05, 0.62):
        edges = ((share - 0.16), (share + 0.16))
        left, right = ((3.1 * e, 4.0 * e, 2.3 * e) for e in edges)
        pen.blob(((0.8 * edges[0], 2.7), (left[0], 5.0), (left[1], 7.6), (left[2], 10.0),
                  (right[2], 10.0), (right[1], 7.6), (right[0], 5.0), (0.8 * edges[1], 2.7)),
                 two, 2)  # fmt: skip
    pen.box(-0.75, 0.0, 0.75, 1.25, (150, 100, 60))
    pen.box(-0.8, 1.05, 0.8, 1.3, (110, 70, 42))
    pen.glow(0.0, 3.2, 3.5, (255, 170, 80))
