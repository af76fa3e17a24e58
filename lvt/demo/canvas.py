"""A supersampled picture and its label map, drawn together.

Every opaque primitive is drawn into both images with the same coordinates, so that the ground truth
always agrees with the picture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from lvt.demo.palette import RGB, Light, mix

SUPERSAMPLE = 2
"""Canvas pixels for each pixel of the final picture, per side."""

Point = tuple[float, float]
Points = Sequence[Point]


@dataclass(frozen=True)
class Spot:
    """A position on the canvas: ground contact (canvas px), scale (px per metre), depth (m)."""

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
        """Depth (m) of the ground at canvas row `row`, below the horizon."""
        return self.focal * self.height / max(row - self.horizon, 1.0)

    @property
    def nearest(self) -> float:
        """Depth (m) of the ground at the lower edge of the picture."""
        return self.depth_at(self.height_px)

    @property
    def unit(self) -> float:
        """Canvas pixels for each pixel of the 256 x 320 reference picture."""
        return SUPERSAMPLE * math.sqrt(self.width * self.height_px / (4 * 256 * 320))


@dataclass(frozen=True)
class Glow:
    """Glow around a lamp, added after drawing; canvas pixels."""

    x: float
    y: float
    radius: float
    colour: RGB


@lru_cache(maxsize=256)
def rounded(points: tuple[Point, ...], rounds: int = 2) -> tuple[Point, ...]:
    """The closed outline `points` after `rounds` rounds of corner cutting (Chaikin)."""
    p = np.array(points)
    for _ in range(rounds):
        following = np.roll(p, -1, axis=0)
        p = np.stack([0.75 * p + 0.25 * following, 0.25 * p + 0.75 * following], 1).reshape(-1, 2)
    return tuple((float(x), float(y)) for x, y in p)


class Canvas:
    """A picture and its labels, both SUPERSAMPLE times as large as the final picture.

    Attributes:
        view: the camera.
        light: the light of the scene.
        rgb: the picture.
        labels: the label of each pixel (mode L).
        glows: glows of the lamps drawn so far.
        label: the label that opaque primitives write.
        haze: share of haze in the colours of opaque primitives.
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
        """Sets the haze for things at a depth (m), at most `limit`."""
        self.haze = min(limit, 1.0 - float(np.exp(-self.light.fog * depth)))

    def tone(self, colour: RGB, lit: float = 0.0) -> RGB:
        """`colour` in the scene's light and haze; `lit` (0 to 1) is the share of own light."""
        toned = self.light.on(colour)
        if lit:
            toned = mix(toned, colour, lit)
        return mix(toned, self.light.haze, self.haze) if self.haze else toned

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
        """Draws a translucent polygon into the picture only."""
        self._veil.polygon(points, fill=(*colour, int(255 * alpha)))

    def veil_oval(
        self, x: float, y: float, rx: float, ry: float, colour: RGB, alpha: float
    ) -> None:
        """Draws a translucent ellipse into the picture only."""
        self._veil.ellipse((x - rx, y - ry, x + rx, y + ry), fill=(*colour, int(255 * alpha)))


class Pen:
    """Draws one thing in its coordinates (m): origin at ground contact, x to the front, y up."""

    def __init__(self, canvas: Canvas, spot: Spot, facing: int) -> None:
        self.canvas = canvas
        self.spot = spot
        self.facing = facing
        # The sunny side in the coordinates of the thing.
        self.sunny = canvas.light.side * facing

    def place(self, points: Points) -> list[Point]:
        s, k = self.spot, self.spot.scale * self.facing
        return [(s.x + k * x, s.y - s.scale * y) for x, y in points]

    def polygon(self, points: Points, colour: RGB, lit: float = 0.0) -> None:
        self.canvas.polygon(self.place(points), colour, lit)

    def blob(self, points: tuple[Point, ...], colour: RGB, rounds: int = 2) -> None:
        """Draws a polygon with rounded corners."""
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
        """Draws a line with round ends."""
        self.line(points, width, colour)
        for x, y in (points[0], points[-1]):
            self.oval(x, y, width / 2, width / 2, colour)

    def shadow(self, half_width: float, height: float) -> None:
        """Draws a contact shadow, and the cast shadow of a thing with a height (m)."""
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
        """Adds a glow around a lamp at (x, y), in proportion to the darkness of the scene."""
        lamps = self.canvas.light.lamps
        if lamps > 0.3:
            ((cx, cy),) = self.place(((x, y),))
            tint = mix((0, 0, 0), colour, lamps)
            self.canvas.glows.append(Glow(cx, cy, radius * self.spot.scale, tint))
