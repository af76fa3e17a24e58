"""Paints the stuff of a scene, except houses: sky, mountains, woods and ground, far to near."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lvt.demo.canvas import Canvas, Point, View
from lvt.demo.palette import RGB, STUFF_CLASSES, draw_light, mix, pick, shade

HEDGES: tuple[RGB, ...] = (
    (58, 112, 62),
    (76, 128, 60),
    (50, 100, 76),
    (150, 128, 56),
    (104, 138, 66),
)
GRASS: tuple[RGB, ...] = ((126, 178, 84), (146, 186, 90), (104, 160, 84), (178, 184, 96))
WATER: tuple[RGB, ...] = ((54, 124, 164), (44, 138, 160), (64, 116, 170), (76, 140, 150))
ROAD: tuple[RGB, ...] = ((104, 106, 114), (92, 92, 100), (118, 112, 112))
PAVEMENT: tuple[RGB, ...] = ((206, 192, 176), (190, 184, 182), (214, 198, 168), (198, 176, 164))
SAND: tuple[RGB, ...] = ((238, 214, 164), (230, 204, 150), (244, 224, 184))
ROCK: tuple[RGB, ...] = ((98, 116, 172), (126, 110, 160), (84, 126, 150), (166, 124, 104))

_SKY_STEP = 4
"""The sky is smooth, so it is computed on a grid this many times smaller than the canvas."""


def stuff_label(name: str) -> int:
    """The canvas label of a stuff class; 0 is a pixel without a class."""
    return STUFF_CLASSES.index(name) + 1


def open_canvas(
    rng: np.random.Generator, size: tuple[int, int], horizon: tuple[float, float],
    height: tuple[float, float],
) -> Canvas:  # fmt: skip
    """A canvas with sky; horizon (share of rows) and camera height (m) are drawn from ranges."""
    rows, columns = size
    view = View(
        width=columns,
        height_px=rows,
        horizon=float(rng.uniform(*horizon)) * rows,
        centre=columns * float(rng.uniform(0.4, 0.6)),
        focal=0.55 * (rows + columns),
        height=float(rng.uniform(*height)),
    )
    canvas = Canvas(view, draw_light(rng))
    paint_sky(canvas, rng)
    return canvas


def paint_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fills the whole canvas with sky: gradient, sun or moon, clouds."""
    view, light = canvas.view, canvas.light
    width, height = view.width // _SKY_STEP, view.height_px // _SKY_STEP
    rows = np.linspace(0.0, 1.0, height) * view.height_px / max(view.horizon, 1.0)
    stops = np.array(light.sky, dtype=np.float32)
    column = np.stack([np.interp(rows, (0.0, 0.6, 1.0), stops[:, c]) for c in range(3)], 1)
    sky = np.repeat(column[:, None, :], width, axis=1).astype(np.float32)
    sun_x = (0.5 + light.side * float(rng.uniform(0.1, 0.42))) * width
    low = 0.35 + 0.5 * min(1.0, 2 * light.lamps) if light.lamps < 0.9 else 0.3
    sun_y = view.horizon / _SKY_STEP * low * float(rng.uniform(0.7, 1.05))
    yy, xx = np.ogrid[:height, :width]
    distance = np.sqrt((xx - sun_x) ** 2 + (yy - sun_y) ** 2).astype(np.float32) / height
    glow = np.exp(-distance * 5.5) * (0.25 + 0.55 * light.sun)
    warm = np.array(mix(light.sky[2], (255, 250, 230), 0.6), dtype=np.float32)
    sky += (warm - sky) * glow[..., None]
    clouds = _clouds(rng, width, height, view.horizon / _SKY_STEP, light.clouds)
    sky += (np.array(light.cloud, dtype=np.float32) - sky) * clouds[..., None]
    small = Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8))
    canvas.rgb.paste(small.resize(canvas.rgb.size, Image.Resampling.BICUBIC))
    canvas.labels.paste(stuff_label("sky"), (0, 0, *canvas.labels.size))
    disc = 0.028 * view.height_px
    x, y = sun_x * _SKY_STEP, sun_y * _SKY_STEP
    if light.lamps > 0.9:
        _stars(canvas, rng)
        canvas.veil_oval(x, y, disc, disc, (244, 240, 220), 0.95)
    elif light.sun > 0.25:
        canvas.veil_oval(x, y, disc * 1.2, disc * 1.2, (255, 250, 226), 0.9)


def _stars(canvas: Canvas, rng: np.random.Generator) -> None:
    unit = canvas.view.unit
    for x, y, size in rng.random((45, 3)):
        r = unit * (0.25 + 0.35 * size)
        where = (float(x) * canvas.view.width, float(y * y) * canvas.view.horizon)
        canvas.veil_oval(*where, r, r, (255, 252, 236), 0.35 + 0.5 * float(size))


def _clouds(
    rng: np.random.Generator, width: int, height: int, horizon: float, amount: float
) -> np.ndarray:
    """Cloud cover (height, width) float32, 0..1: blurred groups of discs with flat bottoms."""
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    for _ in range(round(8 * amount)):
        y = float(rng.uniform(0.08, 0.75)) * horizon
        # Clouds near the horizon are farther away, so they are smaller.
        size = height * (0.16 - 0.12 * y / horizon) * float(rng.uniform(0.7, 1.3))
        x = float(rng.uniform(-0.1, 1.1)) * width
        for dx, r in zip(rng.uniform(-1.5, 1.5, 7), rng.uniform(0.3, 0.62, 7), strict=True):
            rx = size * float(r) * (1.25 - abs(float(dx)) * 0.4)
            cx = x + float(dx) * size
            draw.chord((cx - rx, y - 1.3 * rx, cx + rx, y + 1.3 * rx), 180, 360, fill=210)
        draw.ellipse((x - 1.9 * size, y - 0.1 * size, x + 1.9 * size, y + 0.14 * size), fill=190)
    soft = mask.filter(ImageFilter.GaussianBlur(height / 110))
    streaks = rng.random((10, 4)).astype(np.float32)
    veil = Image.fromarray(streaks).resize((width, height), Image.Resampling.BICUBIC)
    thin = np.clip(np.asarray(veil) - 0.45, 0, 1) * 0.5 * min(1.0, amount * 2)
    cover: np.ndarray = np.maximum(np.asarray(soft, dtype=np.float32) / 255.0, thin)
    return cover


def ridge(
    rng: np.random.Generator, width: float, base: float, height: float, peaks: int, rough: float
) -> list[Point]:
    """Points of a ridge line from left to right, at most `height` px above `base`."""
    x = np.linspace(-0.05, 1.05, 61)
    y = np.zeros_like(x)
    for octave in range(3):
        knots = rng.random(peaks * 2**octave + 2)
        y += np.interp(x, np.linspace(-0.05, 1.05, knots.size), knots) * rough**octave
    y = (y - y.min()) / max(float(np.ptp(y)), 1e-6)
    return [(float(a) * width, base - (0.25 + 0.75 * float(b)) * height)
            for a, b in zip(x, y, strict=True)]  # fmt: skip


def paint_mountains(canvas: Canvas, rng: np.random.Generator, height: float) -> None:
    """Paints two or three mountain ranges; the farthest is pale and sometimes has snow."""
    view, light = canvas.view, canvas.light
    canvas.label = stuff_label("mountain")
    canvas.haze = 0.0
    rock = pick(rng, ROCK)
    snow = rng.random() < 0.6
    layers = int(rng.integers(2, 4))
    for i in range(layers):
        near = i / layers
        tall = height * (1.0 - 0.62 * near)
        line = ridge(rng, view.width, view.horizon, tall, int(rng.integers(4, 8)), 0.36)
        colour = mix(rock, (70, 122, 92), 0.7 * near)
        canvas.haze = min(0.6, 0.34 - 0.26 * near + 9 * light.fog)
        foot = [(line[-1][0], view.horizon + 4), (line[0][0], view.horizon + 4)]
        canvas.polygon(line + foot, colour)
        _slopes(canvas, rng, line, tall, colour, snow and i == 0)


def _slopes(
    canvas: Canvas, rng: np.random.Generator, line: Sequence[Point], tall: float, colour: RGB,
    snow: bool,
) -> None:  # fmt: skip
    """Darkens the side of every peak that faces away from the sun; adds snow to high peaks."""
    horizon, side = canvas.view.horizon, canvas.light.side
    dark = shade(colour, 0.8)
    ys = [y for _, y in line]
    for i in range(3, len(line) - 3):
        x, y = line[i]
        rise = horizon - y
        if y > min(ys[i - 3 : i + 4]) or rise < 0.35 * tall:
            continue
        flank = [line[i]]
        j = i
        while 0 < j < len(line) - 1 and ys[j - side] >= ys[j]:
            j -= side
            flank.append(line[j])
        fold = (x - side * 0.1 * rise, y + 0.5 * rise)
        foot = (line[j][0] - side * 0.5 * (horizon - ys[j]), horizon)
        canvas.polygon([*flank, foot, (x - side * 0.3 * rise, horizon), fold], dark)
        if snow and rise > 0.62 * tall:
            drop = 0.26 * rise
            cap = [p for p in line[max(0, i - 9) : i + 10] if p[1] < y + drop]
            # The lower edge is uneven, and never above the ridge.
            depths = rng.uniform(0.7, 1.35, len(cap))
            hem = [(px, max(py, y + drop * float(d)))
                   for (px, py), d in zip(cap, depths, strict=True)]  # fmt: skip
            canvas.polygon(cap + hem[::-1], (244, 246, 250))


def paint_foliage(
    canvas: Canvas, rng: np.random.Generator, base: float, height: float, depth: float
) -> None:
    """Paints bushes or woods whose lower edge is canvas row `base`."""
    canvas.label = stuff_label("foliage")
    canvas.set_depth(depth)
    leaf = pick(rng, HEDGES)
    width = canvas.view.width
    middle = base - 0.5 * height
    canvas.polygon([(0, middle), (width, middle), (width, base), (0, base)],
                   shade(leaf, 0.78))  # fmt: skip
    step = 0.62 * height
    # A dark back row and a lighter, lower front row look like depth.
    for factor, rise, size in ((0.78, 0.62, 0.4), (0.95, 0.44, 0.36), (1.1, 0.26, 0.26)):
        for i in range(int(width / step) + 2):
            dx, dy, dr = (float(v) for v in rng.uniform(-0.2, 0.2, 3))
            r = height * size * (1 + dr)
            y = base - height * (rise + 0.5 * dy)
            canvas.oval(
                (i + dx) * step, min(y, base - r), r * 1.15, r, shade(leaf, factor + 0.3 * dr)
            )


def paint_plain(canvas: Canvas, name: str, colour: RGB) -> None:
    """Paints ground of one stuff class from the horizon to the lower edge."""
    view = canvas.view
    canvas.label = stuff_label(name)
    canvas.haze = 0.0
    bottom, top = view.height_px + 1, view.horizon
    canvas.polygon(
        [(-1, top), (view.width + 1, top), (view.width + 1, bottom), (-1, bottom)], colour
    )


def paint_band(canvas: Canvas, name: str, colour: RGB, near: float, far: float) -> None:
    """Paints ground of one stuff class between two depths (m), across the picture."""
    view = canvas.view
    canvas.label = stuff_label(name)
    canvas.haze = 0.0
    top, bottom = view.point(0, far)[1], min(view.point(0, near)[1], view.height_px + 1)
    canvas.polygon(
        [(-1, top), (view.width + 1, top), (view.width + 1, bottom), (-1, bottom)], colour
    )


def paint_shape(canvas: Canvas, name: str, colour: RGB, ground: Sequence[Point]) -> None:
    """Paints ground of one stuff class inside an outline of points (x, z) in metres."""
    canvas.label = stuff_label(name)
    canvas.haze = 0.0
    view = canvas.view
    canvas.polygon([view.point(x, max(z, 0.4 * view.nearest)) for x, z in ground], colour)


def mark(canvas: Canvas, ground: Sequence[Point], colour: RGB, alpha: float) -> None:
    """Paints marks on the ground, such as lines, that keep the label of the ground."""
    view = canvas.view
    tinted = canvas.light.on(colour)
    canvas.veil_polygon(
        [view.point(x, max(z, 0.4 * view.nearest)) for x, z in ground], tinted, alpha
    )
