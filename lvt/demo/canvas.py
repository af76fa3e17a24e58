"""A supersampled picture and its label map, always drawn by the same stroke.

It exists so that picture and ground truth cannot disagree: every opaque primitive goes to both
images with the same coordinates. It refuses to know what is being drawn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from lvt.demo.palette import RGB, Light, mix

SUPERSAMPLE = 2

Point = tuple[float, float]
Points = Sequence[Point]


@dataclass(frozen=True)
class Spot:
    """Where something stands on the canvas: ground contact (canvas px), px per metre, depth (m)."""

    x: float
    y: float
    scale: float
    depth: float


@dataclass(frozen=True)
class View:
    """A pinhole camera `height` metres above flat ground, looking level; canvas pixels."""

    width: int
    height_px: int
    horizon: float
    centre: float
    focal: float
    height: float

    def point(self, x: float, z: float, up: float = 0.0) -> Point:
        """Canvas position of the point `x` m to the right, `z` m away, `up` m above ground."""
        scale = self.focal / z
        return self.centre + x * scale, self.horizon + (self.height - up) * scale

    def spot(self, x: float, z: float) -> Spot:
        px, py = self.point(x, z)
        return Spot(px, py, self.focal / z, z)

    def depth_at(self, row: float) -> float:
        """Depth of the ground seen at canvas row `row` (below the horizon)."""
        return self.focal * self.height / max(row - self.horizon, 1.0)

    @property
    def nearest(self) -> float:
        """Depth of the ground at the lower edge of the picture."""
        return self.depth_at(self.height_px)

    @property
    def unit(self) -> float:
        """Canvas pixels for one pixel of the 256 x 320 reference picture."""
        return SUPERSAMPLE * math.sqrt(self.width * self.height_px / (4 * 256 * 320))


@dataclass(frozen=True)
class Glow:
    """Light in the air around a lamp, added after drawing; canvas pixels."""

    x: float
    y: float
    radius: float
    colour: RGB


@lru_cache(maxsize=256)
def rounded(points: tuple[Point, ...], rounds: int = 2) -> tuple[Point, ...]:
    """The closed outline `points` with its corners cut `rounds` times (Chaikin)."""
    p = np.array(points)
    for _ in range(rounds):
        following = np.roll(p, -1, axis=0)
        p = np.stack([0.75 * p + 0.25 * following, 0.25 * p + 0.75 * following], 1).reshape(-1, 2)
    return tuple((float(x), float(y)) for x, y in p)


class Canvas:
    """The picture (`rgb`) and the labels (`labels`, mode L), both SUPERSAMPLE times too large.

    `label` is what opaque strokes write; `haze` is the share of haze mixed into colours.
    """

    def __init__(self, view: View, light: Light) -> None:
        size = (view.width, view.height_px)
        self.view = view
        self.light = light
        self.rgb = Image.new("RGB", size)
        self.labels = Image.new("L", size)
        self.glows: list[Glow] = []
        self.label = 0
        self.haze = 0.0
        self._attach()

    def _attach(self) -> None:
        self._solid = ImageDraw.Draw(self.rgb)
        self._veil = ImageDraw.Draw(self.rgb, "RGBA")
        self._mark = ImageDraw.Draw(self.labels)

    def copy(self) -> "Canvas":
        """An independent canvas with the same content."""
        twin = Canvas(self.view, self.light)
        twin.rgb, twin.labels = self.rgb.copy(), self.labels.copy()
        twin.glows = list(self.glows)
        twin._attach()
        return twin

    def set_depth(self, depth: float, limit: float = 0.6) -> None:
        """Haze for things `depth` metres away, never more than `limit`."""
        self.haze = min(limit, 1.0 - float(np.exp(-self.light.fog * depth)))

    def tone(self, colour: RGB, lit: float = 0.0) -> RGB:
        """`colour` in this scene's light and haze; `lit` (0 to 1) shines by itself."""
        seen = self.light.on(colour)
        if lit:
            seen = mix(seen, colour, lit)
        return mix(seen, self.light.haze, self.haze) if self.haze else seen

    def polygon(self, points: Points, colour: RGB, lit: float = 0.0) -> None:
        self._solid.polygon(points, fill=self.tone(colour, lit))
        self._mark.polygon(points, fill=self.label)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: RGB, lit: float = 0) -> None:
        box = (x - rx, y - ry, x + rx, y + ry)
        self._solid.ellipse(box, fill=self.tone(colour, lit))
        self._mark.ellipse(box, fill=self.label)

    def line(self, points: Points, width: float, colour: RGB) -> None:
        thick = max(SUPERSAMPLE, round(width))
        self._solid.line(points, fill=self.tone(colour), width=thick, joint="curve")
        self._mark.line(points, fill=self.label, width=thick, joint="curve")

    def veil_polygon(self, points: Points, colour: RGB, alpha: float) -> None:
        """A translucent polygon: changes the picture, never the labels."""
        self._veil.polygon(points, fill=(*colour, int(255 * alpha)))

    def veil_oval(
        self, x: float, y: float, rx: float, ry: float, colour: RGB, alpha: float
    ) -> None:
        """A translucent ellipse: changes the picture, never the labels."""
        self._veil.ellipse((x - rx, y - ry, x + rx, y + ry), fill=(*colour, int(255 * alpha)))


class Pen:
    """Draws one thing in its own metres: origin at ground contact, x to the front, y up."""

    def __init__(self, canvas: Canvas, spot: Spot, facing: int) -> None:
        self.canvas = canvas
        self.spot = spot
        self.facing = facing
        # The sunny side in the thing's own frame.
        self.sunny = canvas.light.side * facing

    def place(self, points: Points) -> list[Point]:
        s, k = self.spot, self.spot.scale * self.facing
        return [(s.x + k * x, s.y - s.scale * y) for x, y in points]

    def polygon(self, points: Points, colour: RGB, lit: float = 0.0) -> None:
        self.canvas.polygon(self.place(points), colour, lit)

    def blob(self, points: tuple[Point, ...], colour: RGB, rounds: int = 2) -> None:
        """A polygon with rounded corners."""
        self.canvas.polygon(self.place(rounded(points, rounds)), colour)

    def box(
        self, x0: float, y0: float, x1: float, y1: float, colour: RGB, lit: float = 0.0
    ) -> None:
        self.polygon(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), colour, lit)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: RGB, lit: float = 0) -> None:
        ((cx, cy),) = self.place(((x, y),))
        self.canvas.oval(cx, cy, rx * self.spot.scale, ry * self.spot.scale, colour, lit)

    def line(self, points: Points, width: float, colour: RGB) -> None:
        self.canvas.line(self.place(points), width * self.spot.scale, colour)

    def limb(self, points: Points, width: float, colour: RGB) -> None:
        """A line with round ends."""
        self.line(points, width, colour)
        for x, y in (points[0], points[-1]):
            self.oval(x, y, width / 2, width / 2, colour)

    def shadow(self, half_width: float, height: float) -> None:
        """A soft contact shadow, and one cast away from the sun by something `height` tall."""
        s, sun = self.spot, self.canvas.light.sun
        ink = (24, 26, 52)
        flat = 0.16 + 0.05 * half_width
        for grow, alpha in ((1.15, 0.14), (0.9, 0.2)):
            self.canvas.veil_oval(
                s.x, s.y, half_width * grow * s.scale, flat * grow * s.scale, ink, alpha
            )
        if sun > 0.3:
            reach = 0.55 * height * s.scale
            x = s.x - self.canvas.light.side * reach * 0.5
            width = half_width * s.scale * 0.8 + reach * 0.5
            self.canvas.veil_oval(x, s.y, width, flat * s.scale, ink, 0.2 * sun)

    def glow(self, x: float, y: float, radius: float, colour: RGB) -> None:
        """Let a lamp at (x, y) shine as far as the scene is dark."""
        lamps = self.canvas.light.lamps
        if lamps > 0.3:
            ((cx, cy),) = self.place(((x, y),))
            tint = mix((0, 0, 0), colour, lamps)
            self.canvas.glows.append(Glow(cx, cy, radius * self.spot.scale, tint))
