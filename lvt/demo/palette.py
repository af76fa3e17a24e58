"""Classes of the demo, their colours, colour arithmetic, and the kinds of light."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RGB = tuple[int, int, int]

THING_CLASSES: tuple[str, ...] = (
    "person",
    "bicycle",
    "car",
    "bus",
    "boat",
    "traffic light",
    "street lamp",
    "bench",
    "bird",
    "dog",
    "tree",
    "balloon",
)
STUFF_CLASSES: tuple[str, ...] = (
    "sky",
    "building",
    "road",
    "pavement",
    "grass",
    "water",
    "mountain",
    "foliage",
    "sand",
)
CLASSES: tuple[str, ...] = THING_CLASSES + STUFF_CLASSES

PALETTE: tuple[RGB, ...] = (
    (231, 76, 96),
    (140, 60, 170),
    (52, 92, 214),
    (247, 148, 40),
    (120, 40, 60),
    (255, 214, 50),
    (255, 240, 170),
    (158, 104, 64),
    (255, 140, 190),
    (205, 90, 20),
    (22, 128, 76),
    (238, 60, 200),
    (150, 206, 250),
    (168, 150, 160),
    (92, 92, 112),
    (214, 200, 206),
    (150, 206, 92),
    (30, 160, 190),
    (120, 128, 168),
    (88, 150, 40),
    (240, 216, 150),
)


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """A mixture of two colours with `share` (0 to 1) of `b`."""
    keep = 1.0 - share
    return (
        int(a[0] * keep + b[0] * share),
        int(a[1] * keep + b[1] * share),
        int(a[2] * keep + b[2] * share),
    )


def shade(colour: RGB, factor: float) -> RGB:
    """`colour` darker (`factor` < 1) or lighter (> 1), at most 255 a channel."""
    return (
        min(255, int(colour[0] * factor)),
        min(255, int(colour[1] * factor)),
        min(255, int(colour[2] * factor)),
    )


def pick(rng: np.random.Generator, colours: Sequence[RGB], jitter: int = 10) -> RGB:
    """A random one of `colours`, each channel changed by at most `jitter`."""
    base = colours[int(rng.integers(len(colours)))]
    r, g, b = (int(v) for v in rng.integers(-jitter, jitter + 1, 3))
    return (
        min(255, max(0, base[0] + r)),
        min(255, max(0, base[1] + g)),
        min(255, max(0, base[2] + b)),
    )


@dataclass(frozen=True)
class Light:
    """The light of a scene.

    Attributes:
        sky: colours of the sky at the zenith, between, and at the horizon.
        tint: factors of the colour channels of surfaces.
        haze: colour of haze.
        cloud: colour of clouds.
        fog: extinction per metre.
        sun: strength of cast shadows, 0..1.
        lamps: brightness of lamps and windows, 0 by day to 1 at night.
        clouds: amount of clouds, 0..1.
        side: side of the sun: -1 left, 1 right.
    """

    sky: tuple[RGB, RGB, RGB]
    tint: tuple[float, float, float]
    haze: RGB
    cloud: RGB
    fog: float
    sun: float
    lamps: float
    clouds: float
    side: int = 1

    def on(self, colour: RGB) -> RGB:
        """The colour of a surface of `colour` in this light."""
        r, g, b = self.tint
        return (
            min(255, int(colour[0] * r)),
            min(255, int(colour[1] * g)),
            min(255, int(colour[2] * b)),
        )


_DAY = Light(
    ((58, 128, 210), (124, 184, 234), (208, 230, 240)),
    (1.0, 1.0, 0.99), (196, 218, 234), (255, 255, 255), 0.0022, 1.0, 0.0, 0.6,
)  # fmt: skip
_GOLDEN = Light(
    ((96, 134, 190), (232, 184, 142), (255, 216, 150)),
    (1.06, 0.93, 0.77), (246, 208, 162), (255, 226, 190), 0.0036, 0.9, 0.25, 0.6,
)  # fmt: skip
_DUSK = Light(
    ((50, 52, 112), (146, 92, 142), (246, 156, 118)),
    (0.74, 0.64, 0.78), (196, 136, 142), (232, 140, 140), 0.003, 0.3, 0.8, 0.7,
)  # fmt: skip
_NIGHT = Light(
    ((12, 18, 48), (26, 40, 84), (62, 76, 124)),
    (0.42, 0.47, 0.68), (56, 68, 112), (64, 76, 120), 0.0025, 0.25, 1.0, 0.35,
)  # fmt: skip
_OVERCAST = Light(
    ((138, 152, 168), (174, 186, 196), (210, 215, 218)),
    (0.88, 0.9, 0.92), (200, 207, 212), (226, 230, 233), 0.004, 0.2, 0.15, 1.0,
)  # fmt: skip
_FOG = Light(
    ((186, 196, 204), (204, 211, 216), (220, 224, 225)),
    (0.92, 0.94, 0.95), (212, 217, 220), (232, 235, 236), 0.016, 0.1, 0.4, 0.2,
)  # fmt: skip
_LIGHTS = (_DAY, _GOLDEN, _DUSK, _NIGHT, _OVERCAST, _FOG)
_LIGHT_ODDS = (0.38, 0.2, 0.12, 0.1, 0.12, 0.08)


def draw_light(rng: np.random.Generator) -> Light:
    """A random kind of light with small variations, and the sun on a random side."""
    base = _LIGHTS[int(rng.choice(len(_LIGHTS), p=_LIGHT_ODDS))]
    warm = float(rng.normal(0.0, 0.025))
    level = float(rng.uniform(0.94, 1.04))
    r, g, b = base.tint
    top, middle, low = (shade(c, float(rng.uniform(0.93, 1.05))) for c in base.sky)
    return Light(
        (top, middle, low),
        (r * level * (1 + warm), g * level, b * level * (1 - warm)),
        base.haze,
        base.cloud,
        base.fog * float(rng.uniform(0.7, 1.4)),
        base.sun,
        base.lamps,
        base.clouds * float(rng.uniform(0.1, 1.0)),
        -1 if rng.random() < 0.5 else 1,
    )
