"""The six layouts of scenes: each paints a background and defines the zones of its things.

Zones put things into a plausible context: boats on water, cars on roads.
"""

from collections.abc import Callable

import numpy as np

from lvt.demo.backdrops import (
    GRASS,
    PAVEMENT,
    ROAD,
    SAND,
    WATER,
    mark,
    open_canvas,
    paint_band,
    paint_foliage,
    paint_mountains,
    paint_plain,
    paint_shape,
)
from lvt.demo.canvas import Canvas, Point, Spot
from lvt.demo.palette import RGB, pick, shade
from lvt.demo.placement_zones import Backdrop, Zone, across, balloons, gulls, lane
from lvt.demo.walls import paint_skyline, paint_street_side, paint_terrace

_WHITE: RGB = (240, 238, 228)


def _kerb(canvas: Canvas, x0: float, x1: float) -> None:
    """Paints a pale line of kerb stones along a street."""
    far, near = 120.0, 0.5 * canvas.view.nearest
    mark(canvas, [(x0, near), (x1, near), (x1, far), (x0, far)], (236, 230, 220), 0.6)


def avenue(rng: np.random.Generator, size: tuple[int, int]) -> Backdrop:
    """A street that runs away from the camera between two rows of houses."""
    canvas = open_canvas(rng, size, (0.4, 0.5), (2.2, 3.6))
    view = canvas.view
    if rng.random() < 0.35:
        paint_mountains(canvas, rng, 0.3 * view.horizon)
    elif rng.random() < 0.5:
        paint_skyline(canvas, rng, 190.0)
    paint_foliage(canvas, rng, view.horizon + 4, 0.09 * view.horizon + 8, 90.0)
    half, walk = float(rng.uniform(3.3, 4.2)), float(rng.uniform(3.2, 4.6))
    near = view.nearest
    paint_plain(canvas, "pavement", pick(rng, PAVEMENT))
    lawn = rng.random() < 0.4
    for side in (-1, 1):
        # Some streets have a garden side in place of houses.
        if side == canvas.light.side and lawn:
            paint_shape(canvas, "grass", pick(rng, GRASS),
                        [(side * (half + walk), 0.0), (side * 90, 0.0), (side * 900, 400.0),
                         (side * (half + walk), 400.0)])  # fmt: skip
        else:
            paint_street_side(canvas, rng, side * (half + walk), 0.6 * near, 75.0)
    paint_shape(canvas, "road", pick(rng, ROAD), [(-half, 0), (half, 0), (half, 400), (-half, 400)])
    for z in np.arange(0.6 * near, 90.0, 4.0):
        z0 = float(z)
        mark(canvas, [(-0.08, z0), (0.08, z0), (0.08, z0 + 2), (-0.08, z0 + 2)], _WHITE, 0.85)
    crossing = near * float(rng.uniform(1.3, 2.6))
    for i in range(int(half * 1.25)):
        x = -half + 0.5 + 1.6 * i
        mark(canvas, [(x, crossing), (x + 0.8, crossing), (x + 0.8, crossing + 2.6),
                      (x, crossing + 2.6)], _WHITE, 0.85)  # fmt: skip
    for side in (-1, 1):
        _kerb(canvas, side * half, side * (half + 0.22))
    kerb_left, kerb_right = (-half - 1.1, -half - 0.5), (half + 0.5, half + 1.1)
    walk_left, walk_right = (-half - walk + 0.6, -half - 1.2), (half + 1.2, half + walk - 0.6)
    off = half * 0.5
    return Backdrop(canvas, (
        Zone("car", 0, 2, lane(view, (off - 0.3, off + 0.3), near * 1.35, near * 5), "rear"),
        Zone("car", 0, 2, lane(view, (-off - 0.3, -off + 0.3), near * 1.35, near * 5), "front"),
        Zone("bus", 0, 1, lane(view, (-off, -off + 0.2), near * 1.8, near * 5.5), "front"),
        Zone("bus", 0, 1, lane(view, (off - 0.2, off), near * 1.8, near * 5.5), "rear"),
        Zone("person", 0, 2, lane(view, walk_left, near * 1.1, near * 3.6)),
        Zone("person", 0, 2, lane(view, walk_right, near * 1.1, near * 3.6)),
        Zone("tree", 0, 2, lane(view, kerb_left, near * 2.0, near * 5), "round"),
        Zone("tree", 0, 2, lane(view, kerb_right, near * 2.0, near * 5), "round"),
        Zone("street lamp", 0, 1, lane(view, kerb_right, near * 1.3, near * 3)),
        Zone("street lamp", 0, 1, lane(view, kerb_left, near * 1.3, near * 3)),
        Zone("traffic light", 0, 1, lane(view, kerb_right, near * 1.2, near * 2.6)),
        Zone("traffic light", 0, 1, lane(view, kerb_left, near * 1.2, near * 2.6)),
        Zone("bicycle", 0, 1, lane(view, kerb_right, near * 1.15, near * 2.2)),
        Zone("dog", 0, 1, lane(view, walk_right, near * 1.1, near * 1.9)),
        Zone("bird", 0, 1, lane(view, walk_left, near * 1.05, near * 1.4), "ground", 0.8),
    ))  # fmt: skip


def crossing(rng: np.random.Generator, size: tuple[int, int]) -> Backdrop:
    """A street seen from the opposite side: traffic passes from left to right."""
    canvas = open_canvas(rng, size, (0.4, 0.5), (2.8, 4.0))
    view = canvas.view
    near = view.nearest
    if rng.random() < 0.4:
        paint_skyline(canvas, rng, 160.0)
    far = near * float(rng.uniform(3.0, 3.8))
    paint_plain(canvas, "pavement", pick(rng, PAVEMENT))
    gap = rng.random() < 0.45
    if gap:
        paint_foliage(canvas, rng, view.point(0, far)[1], 4.2 * view.focal / far, far)
        left = float(rng.uniform(-0.3, 0.5))
        paint_terrace(canvas, rng, far, (2, 3), (left, left + 0.6))
    else:
        paint_terrace(canvas, rng, far, (2, 3), (-0.04, 1.0))
    inner, outer = near * 1.28, near * float(rng.uniform(2.15, 2.5))
    paint_band(canvas, "road", pick(rng, ROAD), inner, outer)
    if rng.random() < 0.45:
        paint_band(canvas, "grass", pick(rng, GRASS), near * 0.9, near * 1.14)
    middle = (inner + outer) / 2
    for x in np.arange(-40.0, 40.0, 4.0):
        x0 = float(x)
        mark(canvas, [(x0, middle - 0.1), (x0 + 2, middle - 0.1), (x0 + 2, middle + 0.1),
                      (x0, middle + 0.1)], _WHITE, 0.85)  # fmt: skip
    for z in (inner, outer):
        mark(canvas, [(-60, z), (60, z), (60, z + 0.2), (-60, z + 0.2)], (240, 234, 224), 0.7)
    return Backdrop(canvas, (
        Zone("car", 1, 3, across(view, inner + 0.7, outer - 0.6, (0.0, 1.0)), "side"),
        Zone("bus", 0, 1, across(view, middle + 0.4, outer - 0.4, (0.1, 0.9)), "side"),
        Zone("person", 0, 3, across(view, outer + 0.6, far - 0.8)),
        Zone("person", 0, 2, across(view, near * 1.02, inner - 0.2)),
        Zone("bicycle", 0, 2, across(view, near * 1.02, inner - 0.1)),
        Zone("bicycle", 0, 1, across(view, outer + 0.3, far - 0.8)),
        Zone("street lamp", 0, 2, across(view, outer + 0.3, outer + 0.8)),
        Zone("traffic light", 0, 2, across(view, outer + 0.2, outer + 0.6)),
        Zone("traffic light", 0, 1, across(view, near * 1.1, inner - 0.2)),
        Zone("tree", 0, 2, across(view, outer + 0.4, far - 0.6), "round"),
        Zone("bench", 0, 1, across(view, outer + 0.6, far - 0.6)),
        Zone("dog", 0, 1, across(view, near * 1.02, inner - 0.2)),
        Zone("bird", 0, 1, across(view, near * 1.0, near * 1.2), "ground", 0.8),
    ))  # fmt: skip


def _ellipse(x: float, z: float, rx: float, rz: float, wobble: float) -> list[Point]:
    """A wobbly ellipse on the ground as points (x, z) in metres."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = 1 + wobble * np.sin(2 * angles + 1) + 0.5 * wobble * np.cos(3 * angles)
    return [(x + rx * float(r * np.cos(a)), z + rz * float(r * np.sin(a)))
            for a, r in zip(angles, radius, strict=True)]  # fmt: skip


def park(rng: np.random.Generator, size: tuple[int, int]) -> Backdrop:
    """A lawn with a pond, a path and woods behind."""
    canvas = open_canvas(rng, size, (0.36, 0.46), (2.8, 4.2))
    view = canvas.view
    near = view.nearest
    if rng.random() < 0.4:
        paint_skyline(canvas, rng, 150.0)
    elif rng.random() < 0.3:
        paint_mountains(canvas, rng, 0.5 * view.horizon)
    paint_plain(canvas, "grass", pick(rng, GRASS))
    paint_foliage(canvas, rng, view.horizon + 0.02 * view.height_px,
                  view.horizon * float(rng.uniform(0.16, 0.4)), 60.0)  # fmt: skip
    side = -1.0 if rng.random() < 0.5 else 1.0
    path, width = pick(rng, PAVEMENT), float(rng.uniform(1.1, 1.7))
    depths = np.geomspace(0.5 * near, near * 7, 30)
    middle = side * (0.12 * depths + 2.2 * np.sin(depths / near * 1.3))
    course = list(zip(middle.tolist(), depths.tolist(), strict=True))
    left = [(m - width, z) for m, z in course]
    paint_shape(canvas, "pavement", path, left + [(m + width, z) for m, z in course[::-1]])
    pond_z = near * float(rng.uniform(2.0, 2.6))
    pond_x = -side * float(rng.uniform(0.3, 0.5)) * view.width / view.focal * pond_z
    rx, rz = float(rng.uniform(0.42, 0.6)) * view.width / view.focal * pond_z, pond_z * 0.36
    outline = _ellipse(pond_x, pond_z, rx, rz, 0.05)
    rim = _ellipse(pond_x, pond_z, rx * 1.05, rz * 1.1, 0.05)
    pond = int(rng.random() < 0.85)
    if pond:
        mark(canvas, rim, (90, 110, 60), 0.5)
        paint_shape(canvas, "water", pick(rng, WATER), outline)
    on_pond = 0.5 + (pond_x / pond_z * view.focal - view.width / 2 + view.centre) / view.width
    ducks = (max(0.03, on_pond - 0.25), min(0.97, on_pond + 0.25))
    return Backdrop(canvas, (
        Zone("tree", 0, 2, across(view, near * 3.4, near * 6)),
        Zone("tree", 0, 2, lane(view, (side * 4.5, side * 7.5), near * 1.9, near * 3.5)),
        Zone("person", 1, 3, across(view, near * 1.05, near * 1.4)),
        Zone("person", 0, 2, across(view, near * 3.2, near * 4.6)),
        Zone("dog", 0, 2, across(view, near * 1.02, near * 1.45)),
        Zone("bench", 0, 2, across(view, near * 1.15, near * 1.5)),
        Zone("bench", 0, 1, lane(view, (side * 3.6, side * 4.6), near * 1.5, near * 2.4)),
        Zone("bird", 0, 2 * pond, across(view, near * 1.75, near * 2.1, ducks), "water", 0.9),
        Zone("bird", 0, 2, across(view, near * 1.0, near * 1.35), "ground", 0.8),
        Zone("bicycle", 0, 1, across(view, near * 1.05, near * 1.45)),
        Zone("street lamp", 0, 1, lane(view, (side * 2.6, side * 3.4), near * 1.5, near * 2.6)),
        balloons(view, 2),
        gulls(view, 1),
    ))  # fmt: skip


def seaside(rng: np.random.Generator, size: tuple[int, int]) -> Backdrop:
    """A beach with the open sea, or a bay with mountains behind."""
    canvas = open_canvas(rng, size, (0.36, 0.48), (3.0, 4.4))
    view = canvas.view
    near = view.nearest
    if rng.random() < 0.55:
        paint_mountains(canvas, rng, float(rng.uniform(0.2, 0.5)) * view.horizon)
    paint_plain(canvas, "water", pick(rng, WATER))
    shore = near * float(rng.uniform(1.5, 1.9))
    x = np.linspace(-60.0, 60.0, 60)
    edge = shore * (1 + 0.05 * np.sin(x / 3.1 + rng.uniform(0, 6)) + 0.05 * np.sin(x / 7.3))
    tilt = float(rng.uniform(-0.05, 0.05))
    edge = np.clip(edge + tilt * x, near * 1.25, near * 2.6)
    line = [(float(a), float(b)) for a, b in zip(x, edge, strict=True)]
    mark(canvas, [(a, b + 1.3) for a, b in line] + line[::-1], (206, 232, 232), 0.4)
    mark(canvas, [(a, b + 0.45) for a, b in line] + line[::-1], (255, 255, 255), 0.75)
    sand = pick(rng, SAND)
    paint_shape(canvas, "sand", sand, [*line, (60.0, 0.0), (-60.0, 0.0)])
    mark(canvas, line + [(a, b - 0.6) for a, b in line[::-1]], shade(sand, 0.6), 0.3)
    if rng.random() < 0.4:
        paint_band(canvas, "pavement", pick(rng, PAVEMENT), near * 0.9, near * 1.1)
    return Backdrop(canvas, (
        Zone("boat", 1, 2, across(view, near * 3.0, near * 5.5), "sail"),
        Zone("boat", 0, 1, across(view, near * 2.8, near * 4.2), "motor"),
        Zone("boat", 0, 1, across(view, near * 2.7, near * 3.6), "rowing"),
        Zone("person", 0, 3, across(view, near * 1.02, near * 1.3)),
        Zone("dog", 0, 1, across(view, near * 1.02, near * 1.25)),
        Zone("bench", 0, 1, across(view, near * 1.02, near * 1.2)),
        Zone("tree", 0, 1, across(view, near * 1.15, near * 1.4, (0.02, 0.25)), "palm"),
        Zone("tree", 0, 1, across(view, near * 1.15, near * 1.4, (0.75, 0.98)), "palm"),
        Zone("bird", 0, 2, across(view, near * 1.0, near * 1.22), "ground", 0.8),
        gulls(view, 3),
        balloons(view, 1),
    ))  # fmt: skip


def country(rng: np.random.Generator, size: tuple[int, int]) -> Backdrop:
    """A winding road through meadows towards mountains."""
    canvas = open_canvas(rng, size, (0.4, 0.54), (2.4, 4.0))
    view = canvas.view
    near = view.nearest
    if rng.random() < 0.85:
        paint_mountains(canvas, rng, float(rng.uniform(0.4, 0.75)) * view.horizon)
    if rng.random() < 0.6:
        paint_foliage(
            canvas, rng, view.horizon + 5, float(rng.uniform(0.08, 0.16)) * view.horizon, 110.0
        )
    paint_plain(canvas, "grass", pick(rng, GRASS))
    for _ in range(3):
        z = near * float(rng.uniform(2.0, 9.0))
        x = float(rng.uniform(-0.6, 0.6)) * view.width / view.focal * z
        mark(canvas, _ellipse(x, z, 0.3 * z, 0.1 * z, 0.05), pick(rng, GRASS, 25), 0.5)
    half, sway = float(rng.uniform(2.5, 3.2)), float(rng.uniform(-0.6, 0.6))
    depths = np.geomspace(0.5 * near, near * 40, 70)

    def middle(z: np.ndarray | float) -> np.ndarray:
        # The course winds in the logarithm of depth, so that bends look wide at any distance.
        return np.asarray(0.3 * sway * z * np.sin(1.7 * np.log(np.asarray(z) / near)))

    def strip(left: float, right: float) -> list[Point]:
        centre = middle(depths)
        return [(float(m) + left, float(z)) for m, z in zip(centre, depths, strict=True)] + [
            (float(m) + right, float(z)) for m, z in zip(centre, depths, strict=True)
        ][::-1]

    def on_road(offset: float, first: float, last: float) -> Callable[[np.random.Generator], Spot]:
        def where(draw: np.random.Generator) -> Spot:
            depth = lane(view, (0.0, 0.0), first, last)(draw).depth
            return view.spot(float(middle(depth)) + offset, depth)

        return where

    mark(canvas, strip(-half - 0.7, half + 0.7), (196, 180, 130), 0.55)
    paint_shape(canvas, "road", pick(rng, ROAD), strip(-half, half))
    for x in (-half + 0.25, half - 0.25):
        mark(canvas, strip(x - 0.07, x + 0.07), _WHITE, 0.75)
    for start in np.arange(0.6 * near, near * 8, 5.0):
        ends = (float(start), float(start) + 2.5)
        sides = ((ends[0], -0.08), (ends[0], 0.08), (ends[1], 0.08), (ends[1], -0.08))
        corners = [(float(middle(e)) + w, e) for e, w in sides]
        mark(canvas, corners, _WHITE, 0.8)
    return Backdrop(canvas, (
        Zone("car", 0, 2, on_road(half * 0.48, near * 1.3, near * 4), "rear"),
        Zone("car", 0, 1, on_road(-half * 0.48, near * 1.3, near * 4), "front"),
        Zone("bus", 0, 1, on_road(-half * 0.48, near * 1.6, near * 4.5), "front"),
        Zone("tree", 0, 2, lane(view, (-half - 8, -half - 3.4), near * 1.7, near * 5)),
        Zone("tree", 0, 2, lane(view, (half + 3.4, half + 8), near * 1.7, near * 5)),
        Zone("bicycle", 0, 1, lane(view, (-half - 3.0, -half - 1.6), near * 1.05, near * 1.8)),
        Zone("person", 0, 1, lane(view, (half + 1.4, half + 3.2), near * 1.05, near * 2.2)),
        Zone("dog", 0, 1, lane(view, (half + 1.4, half + 3.6), near * 1.05, near * 1.8)),
        Zone("bird", 0, 1, across(view, near * 1.0, near * 1.25, (0.05, 0.2)), "ground", 0.8),
        balloons(view, 3),
        gulls(view, 1),
    ))  # fmt: skip


def quay(rng: np.random.Generator, size: tuple[int, int]) -> Backdrop:
    """A paved bank of a river with a town on the other side."""
    canvas = open_canvas(rng, size, (0.38, 0.46), (3.0, 4.2))
    view = canvas.view
    near = view.nearest
    if rng.random() < 0.4:
        paint_mountains(canvas, rng, 0.55 * view.horizon)
    bank = near * float(rng.uniform(5.0, 6.5))
    paint_plain(canvas, "water", pick(rng, WATER))
    if rng.random() < 0.7:
        paint_foliage(canvas, rng, view.point(0, bank)[1], 5.0 * view.focal / bank, bank)
    left = float(rng.uniform(-0.1, 0.3))
    paint_terrace(canvas, rng, bank, (2, 4), (left, left + float(rng.uniform(0.45, 1.0))))
    verge, colours = ("pavement", PAVEMENT) if rng.random() < 0.4 else ("grass", GRASS)
    paint_band(canvas, verge, pick(rng, colours), bank * 0.86, bank)
    rim = near * float(rng.uniform(1.5, 1.8))
    paving = pick(rng, PAVEMENT)
    paint_band(canvas, "pavement", paving, 0.5 * near, rim)
    mark(
        canvas,
        [(-60, rim - 0.35), (60, rim - 0.35), (60, rim), (-60, rim)],
        shade(paving, 1.2),
        0.8,
    )
    for x in np.arange(-30.0, 30.0, 2.0):
        x0 = float(x)
        mark(canvas, [(x0, 0.5 * near), (x0 + 0.06, 0.5 * near), (x0 + 0.06, rim), (x0, rim)],
             (90, 80, 80), 0.25)  # fmt: skip
    return Backdrop(canvas, (
        Zone("boat", 0, 2, across(view, rim * 1.35, bank * 0.6), "motor"),
        Zone("boat", 0, 1, across(view, rim * 1.5, bank * 0.7), "sail"),
        Zone("boat", 0, 1, across(view, rim * 1.3, bank * 0.5), "rowing"),
        Zone("street lamp", 0, 2, across(view, rim - 0.7, rim - 0.4)),
        Zone("bench", 0, 2, across(view, near * 1.15, rim - 0.6)),
        Zone("person", 0, 3, across(view, near * 1.02, rim - 0.4)),
        Zone("bicycle", 0, 2, across(view, near * 1.02, rim - 0.4)),
        Zone("dog", 0, 1, across(view, near * 1.02, rim - 0.6)),
        Zone("tree", 0, 1, across(view, rim - 0.9, rim - 0.6, (0.0, 0.3))),
        Zone("bird", 0, 1, across(view, near * 1.0, near * 1.3), "ground", 0.8),
        gulls(view, 2),
        balloons(view, 1),
    ))  # fmt: skip


LAYOUTS: tuple[Callable[[np.random.Generator, tuple[int, int]], Backdrop], ...] = (
    avenue,
    crossing,
    park,
    seaside,
    country,
    quay,
)
