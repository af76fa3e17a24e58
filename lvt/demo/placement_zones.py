"""Zones of a background where things may be placed, and random positions in them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lvt.demo.canvas import Canvas, Spot, View


@dataclass(frozen=True)
class Zone:
    """A zone for things of one class.

    Attributes:
        category: name of the class.
        low: smallest number of things.
        high: largest number of things.
        where: draws a random position.
        pose: variant of the drawing; "" for the default.
        size: factor of the natural size.
    """

    category: str
    low: int
    high: int
    where: Callable[[np.random.Generator], Spot]
    pose: str = ""
    size: float = 1.0


@dataclass(frozen=True)
class Backdrop:
    """A painted background, and the zones where things may be placed."""

    canvas: Canvas
    zones: tuple[Zone, ...]


def across(
    view: View, near: float, far: float, span: tuple[float, float] = (0.04, 0.96)
) -> Callable[[np.random.Generator], Spot]:
    """Positions across the picture between two depths (m), uniform in rows."""

    def where(rng: np.random.Generator) -> Spot:
        top, bottom = view.point(0, far)[1], view.point(0, near)[1]
        depth = view.depth_at(float(rng.uniform(top, bottom)))
        x = float(rng.uniform(*span)) * view.width
        return view.spot((x - view.centre) * depth / view.focal, depth)

    return where


def lane(
    view: View, x: tuple[float, float], near: float, far: float
) -> Callable[[np.random.Generator], Spot]:
    """Positions along a street to the horizon, from `x[0]` to `x[1]` m beside its middle."""

    def where(rng: np.random.Generator) -> Spot:
        top, bottom = view.point(0, far)[1], view.point(0, near)[1]
        return view.spot(
            float(rng.uniform(min(x), max(x))), view.depth_at(float(rng.uniform(top, bottom)))
        )

    return where


def aloft(
    view: View, rows: tuple[float, float], metre: tuple[float, float]
) -> Callable[[np.random.Generator], Spot]:
    """Positions in the sky.

    Args:
        view: the camera.
        rows: range of rows, as shares of the row of the horizon.
        metre: range of the size of a metre, in pixels of the reference picture.
    """

    def where(rng: np.random.Generator) -> Spot:
        x, y = float(rng.uniform(0.08, 0.92)), float(rng.uniform(*rows))
        scale = float(rng.uniform(*metre)) * view.unit
        return Spot(x * view.width, y * view.horizon, scale, 160.0 / scale * view.unit)

    return where


def gulls(view: View, high: int) -> Zone:
    return Zone("bird", 0, high, aloft(view, (0.15, 0.75), (9.0, 17.0)), "flying")


def balloons(view: View, high: int) -> Zone:
    return Zone("balloon", 0, high, aloft(view, (0.66, 0.95), (3.2, 6.2)))
