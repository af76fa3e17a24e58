"""Where things may stand: zones of a background and how a place in them is drawn.

It exists so that the layouts can say "on the left lane" in one line. It refuses to know what the
background shows and how things look.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lvt.demo.canvas import Canvas, Spot, View


@dataclass(frozen=True)
class Zone:
    """`low` to `high` things of a class at places drawn by `where`, `size` times life size."""

    category: str
    low: int
    high: int
    where: Callable[[np.random.Generator], Spot]
    pose: str = ""
    size: float = 1.0


@dataclass(frozen=True)
class Backdrop:
    """A finished background and the zones where things may be put."""

    canvas: Canvas
    zones: tuple[Zone, ...]


def across(
    view: View, near: float, far: float, span: tuple[float, float] = (0.04, 0.96)
) -> Callable[[np.random.Generator], Spot]:
    """Anywhere across the picture between two depths; rows are drawn uniformly, not depths."""

    def where(rng: np.random.Generator) -> Spot:
        top, bottom = view.point(0, far)[1], view.point(0, near)[1]
        depth = view.depth_at(float(rng.uniform(top, bottom)))
        x = float(rng.uniform(*span)) * view.width
        return view.spot((x - view.centre) * depth / view.focal, depth)

    return where


def lane(
    view: View, x: tuple[float, float], near: float, far: float
) -> Callable[[np.random.Generator], Spot]:
    """A strip `x` m beside the middle of a street that runs away from the camera."""

    def where(rng: np.random.Generator) -> Spot:
        top, bottom = view.point(0, far)[1], view.point(0, near)[1]
        return view.spot(
            float(rng.uniform(min(x), max(x))), view.depth_at(float(rng.uniform(top, bottom)))
        )

    return where


def aloft(
    view: View, rows: tuple[float, float], metre: tuple[float, float]
) -> Callable[[np.random.Generator], Spot]:
    """In the sky, between two shares of the horizon's height; `metre` in reference pixels."""

    def where(rng: np.random.Generator) -> Spot:
        x, y = float(rng.uniform(0.08, 0.92)), float(rng.uniform(*rows))
        scale = float(rng.uniform(*metre)) * view.unit
        return Spot(x * view.width, y * view.horizon, scale, 160.0 / scale * view.unit)

    return where


def gulls(view: View, high: int) -> Zone:
    return Zone("bird", 0, high, aloft(view, (0.15, 0.75), (9.0, 17.0)), "flying")


def balloons(view: View, high: int) -> Zone:
    return Zone("balloon", 0, high, aloft(view, (0.66, 0.95), (3.2, 6.2)))
