"""Draws people, animals, trees and street furniture, in metres."""

import numpy as np

from lvt.demo.canvas import Pen, Point
from lvt.demo.palette import RGB, mix, pick, shade

_SKIN: tuple[RGB, ...] = (
    (244, 206, 176), (226, 176, 138), (190, 136, 98), (142, 94, 66), (98, 64, 48),
)  # fmt: skip
_HAIR: tuple[RGB, ...] = (
    (40, 32, 30), (92, 60, 40), (168, 112, 60), (222, 186, 116), (170, 168, 166), (150, 66, 40),
)  # fmt: skip
_CLOTH: tuple[RGB, ...] = (
    (214, 70, 70), (50, 110, 180), (248, 206, 90), (244, 240, 230), (70, 150, 110), (150, 90, 170),
    (236, 130, 70), (60, 66, 90), (230, 140, 160), (90, 170, 190),
)  # fmt: skip
_TROUSERS: tuple[RGB, ...] = (
    (46, 58, 92), (60, 60, 66), (128, 104, 78), (84, 110, 140), (196, 184, 160), (70, 44, 50),
)  # fmt: skip
_LEAVES: tuple[RGB, ...] = (
    (74, 140, 66), (96, 158, 70), (58, 118, 72), (122, 164, 70), (84, 148, 92),
)  # fmt: skip
_AUTUMN: tuple[RGB, ...] = ((214, 130, 46), (226, 170, 60), (188, 84, 50), (160, 150, 60))
_BLOSSOM: RGB = (236, 170, 190)
_BARK: RGB = (112, 84, 62)


def person(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A walking or standing person, about 1.75 m tall."""
    del pose
    pen.shadow(0.36, 1.7)
    skin, hair, top = pick(rng, _SKIN), pick(rng, _HAIR), pick(rng, _CLOTH)
    legs = pick(rng, _TROUSERS)
    stride = float(rng.choice((0.1, 0.24, 0.3)))
    pen.limb(((-0.06, 0.86), (-stride, 0.08)), 0.17, shade(legs, 0.8))
    pen.limb(((0.04, 0.86), (stride * 0.5, 0.45), (stride, 0.08)), 0.17, legs)
    for x in (-stride, stride):
        pen.blob(
            ((x - 0.1, 0.0), (x + 0.2, 0.0), (x + 0.16, 0.1), (x - 0.1, 0.12)), (50, 42, 44), 1
        )
    swing = stride * 0.9
    pen.limb(((-0.12, 1.38), (-0.16 - swing * 0.4, 1.1), (-swing, 0.88)), 0.12, shade(top, 0.72))
    if rng.random() < 0.35:
        pen.blob(((-0.17, 1.4), (0.17, 1.4), (0.34, 0.52), (-0.32, 0.52)), top, 1)
    else:
        pen.blob(((-0.22, 1.46), (0.22, 1.46), (0.2, 0.8), (-0.19, 0.8)), top, 1)
    side = 0.1 * pen.sunny
    pen.blob(((side - 0.06, 1.38), (side + 0.06, 1.38), (side + 0.06, 0.9), (side - 0.05, 0.9)),
             mix(top, (255, 255, 255), 0.16), 1)  # fmt: skip
    if rng.random() < 0.3:
        pen.blob(((-0.4, 1.4), (-0.16, 1.44), (-0.16, 0.96), (-0.4, 1.0)), pick(rng, _CLOTH), 1)
    pen.limb(
        ((0.14, 1.38), (0.18 + swing * 0.2, 1.12), (0.1 + swing, 0.94)), 0.12, shade(top, 0.86)
    )
    pen.oval(0.1 + swing, 0.9, 0.065, 0.065, skin)
    pen.box(-0.06, 1.4, 0.06, 1.54, shade(skin, 0.85))
    pen.oval(-0.03, 1.66, 0.165, 0.17, hair)
    pen.oval(0.03, 1.62, 0.125, 0.14, skin)
    if rng.random() < 0.3:
        pen.blob(((-0.22, 1.55), (-0.06, 1.6), (-0.1, 1.28), (-0.24, 1.3)), hair, 1)
    if rng.random() < 0.25:
        pen.box(-0.18, 1.7, 0.26, 1.76, shade(top, 0.6))
        pen.blob(((-0.17, 1.72), (0.16, 1.72), (0.12, 1.92), (-0.14, 1.92)), shade(top, 0.6), 1)


def dog(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A standing dog, drawn a little larger than life."""
    del pose
    coat = pick(
        rng, ((150, 98, 58), (226, 190, 140), (60, 50, 48), (236, 230, 220), (186, 120, 66))
    )
    dark = shade(coat, 0.76)
    pen.shadow(0.55, 0.6)
    for x, tone in ((-0.36, dark), (0.34, dark), (-0.46, coat), (0.24, coat)):
        pen.limb(((x, 0.46), (x + 0.03, 0.05)), 0.13, tone)
    pen.limb(((-0.5, 0.66), (-0.74, 0.9), (-0.72, 1.0)), 0.09, coat)
    pen.blob(
        ((-0.64, 0.74), (-0.1, 0.78), (0.42, 0.84), (0.5, 0.5), (0.2, 0.36), (-0.62, 0.4)), coat
    )
    pen.blob(((0.22, 0.76), (0.5, 1.08), (0.76, 1.08), (0.98, 0.9), (0.96, 0.8), (0.7, 0.78),
              (0.5, 0.52)), coat)  # fmt: skip
    pen.blob(((0.44, 1.08), (0.6, 1.06), (0.52, 0.74), (0.38, 0.82)), dark, 1)
    pen.oval(0.94, 0.88, 0.055, 0.05, (30, 26, 26))
    pen.oval(0.7, 0.98, 0.03, 0.03, (24, 20, 20))
    pen.line(((0.3, 0.78), (0.46, 0.62)), 0.08, (206, 50, 50))


def bird(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A `flying` gull, a bird on the `ground` or a duck on the `water`."""
    if pose == "flying":
        _gull(pen, rng)
        return
    body = pick(rng, ((240, 238, 232), (110, 118, 136), (150, 110, 76), (60, 66, 80)))
    lift = 0.0
    if pose == "ground":
        lift = 0.22
        pen.shadow(0.3, 0.3)
        for x in (-0.06, 0.08):
            pen.line(((x, 0.3), (x, 0.0)), 0.06, (226, 130, 50))
    else:
        pen.canvas.veil_oval(
            pen.spot.x,
            pen.spot.y,
            0.62 * pen.spot.scale,
            0.09 * pen.spot.scale,
            (240, 248, 255),
            0.4,
        )
    head = pick(rng, ((40, 110, 80), (80, 86, 104), (236, 234, 228), (70, 60, 58)))
    pen.blob(((-0.56, lift + 0.42), (-0.3, lift + 0.02), (0.26, lift), (0.44, lift + 0.2),
              (0.3, lift + 0.42), (-0.1, lift + 0.4)), body)  # fmt: skip
    pen.blob(((-0.46, lift + 0.36), (0.12, lift + 0.36), (0.16, lift + 0.16), (-0.2, lift + 0.12)),
             shade(body, 0.76))  # fmt: skip
    pen.limb(((0.3, lift + 0.26), (0.36, lift + 0.58)), 0.16, head)
    pen.oval(0.39, lift + 0.62, 0.14, 0.125, head)
    pen.polygon(((0.48, lift + 0.66), (0.7, lift + 0.58), (0.48, lift + 0.55)), (244, 166, 50))
    pen.oval(0.43, lift + 0.66, 0.03, 0.03, (20, 20, 20))


def _gull(pen: Pen, rng: np.random.Generator) -> None:
    white = pick(rng, ((250, 250, 248), (238, 240, 244), (96, 104, 122), (70, 72, 84)))
    flap = float(rng.uniform(-0.12, 0.5))
    tip = mix(white, (30, 32, 44), 0.75)
    for side in (-1.0, 1.0):
        wing: tuple[Point, ...] = (
            (0.02 * side, -0.04), (0.1 * side, 0.1), (0.55 * side, 0.22 + flap * 0.7),
            (1.15 * side, flap * 0.8 + 0.04), (0.55 * side, 0.0 + flap * 0.5),
        )  # fmt: skip
        pen.blob(wing, white if side > 0 else shade(white, 0.86), 1)
        x, y = 1.02 * side, flap * 0.76 + 0.05
        pen.polygon(((x, y - 0.02), (x - 0.25 * side, y + 0.1), (x - 0.2 * side, y - 0.05)), tip)
    pen.blob(((-0.36, -0.06), (-0.05, -0.15), (0.26, -0.06), (0.34, 0.05), (0.1, 0.12)), white)
    pen.polygon(((0.28, 0.04), (0.46, -0.02), (0.28, -0.05)), (244, 170, 50))


def _leaf(rng: np.random.Generator) -> RGB:
    kind = rng.random()
    if kind < 0.12:
        return pick(rng, (_BLOSSOM,))
    return pick(rng, _AUTUMN if kind < 0.3 else _LEAVES)


def tree(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A tree 4 to 7 m tall: `round`, `conifer`, `poplar` or `palm`."""
    kind = pose or str(rng.choice(("round", "round", "round", "conifer", "poplar")))
    pen.shadow(0.9, 4.0)
    if kind == "palm":
        _palm(pen, rng)
    elif kind == "conifer":
        _conifer(pen, rng)
    else:
        _broadleaf(pen, rng, slim=kind == "poplar")


def _broadleaf(pen: Pen, rng: np.random.Generator, slim: bool) -> None:
    leaf = _leaf(rng)
    width, base, top = (0.95, 1.2, 6.4) if slim else (2.0, 1.9, float(rng.uniform(4.8, 6.2)))
    pen.polygon(((-0.24, 0.0), (0.24, 0.0), (0.13, base + 1), (-0.13, base + 1)), _BARK)
    pen.polygon(((0.0, 0.0), (-0.24 * pen.sunny, 0.0), (-0.13 * pen.sunny, base + 1),
                 (0.0, base + 1)), shade(_BARK, 0.74))  # fmt: skip
    if not slim:
        pen.line(((0.0, base - 0.3), (0.7, base + 0.8)), 0.16, shade(_BARK, 0.85))
    middle, half = (base + top) / 2, (top - base) / 2
    angles = np.linspace(0.0, 2 * np.pi, 9, endpoint=False) + rng.uniform(0, 0.6)
    crown = [(0.55 * width * np.cos(a), middle + 0.6 * half * np.sin(a)) for a in angles]
    crown.append((0.0, middle))
    radii = rng.uniform(0.4, 0.56, len(crown))
    # Three tones, each smaller and closer to the sun than the one before, look like volume.
    for factor, move, shrink in ((0.78, 0.0, 1.0), (1.0, 0.12, 0.84), (1.16, 0.26, 0.52)):
        colour = shade(leaf, factor)
        for (x, y), radius in zip(crown, radii, strict=True):
            r = float(radius) * shrink
            pen.oval(
                float(x) * (0.4 + 0.6 * shrink) + move * width * pen.sunny,
                middle + (float(y) - middle) * (0.4 + 0.6 * shrink) + move * half * 0.9,
                r * width, r * half, colour,
            )  # fmt: skip


def _conifer(pen: Pen, rng: np.random.Generator) -> None:
    leaf = pick(rng, ((42, 100, 74), (56, 112, 70), (36, 88, 84)))
    tall = float(rng.uniform(5.2, 7.0))
    pen.box(-0.17, 0.0, 0.17, 1.2, _BARK)
    tiers = 4
    for i in range(tiers):
        low = 0.8 + (tall - 0.8) * i / (tiers + 0.4)
        high = low + (tall - 0.8) * 0.42
        half = 1.7 * (1 - i / (tiers + 0.6))
        hem = ((-half, low), (-0.4 * half, low + 0.12), (0.0, low - 0.1), (0.5 * half, low + 0.1))
        pen.polygon((*hem, (half, low), (0.0, high)), shade(leaf, 0.9 + 0.07 * i))
        lit = half * pen.sunny
        flank = ((lit, low), (lit * 0.5, low + 0.1), (lit * 0.15, low + 0.1), (0.0, high))
        pen.polygon(flank, shade(leaf, 1.12 + 0.07 * i))


def _palm(pen: Pen, rng: np.random.Generator) -> None:
    leaf = pick(rng, ((70, 150, 80), (90, 160, 70), (50, 130, 90)))
    tall, lean = float(rng.uniform(4.2, 5.6)), float(rng.uniform(-0.7, 0.7))
    trunk = [(-0.2, 0.0), (0.2, 0.0), (lean * 0.4 + 0.15, tall * 0.5), (lean + 0.1, tall),
             (lean - 0.1, tall), (lean * 0.4 - 0.15, tall * 0.5)]  # fmt: skip
    pen.polygon(trunk, (158, 122, 86))
    for i in range(1, 6):
        x, y = lean * 0.8 * (i / 6) ** 1.3, tall * i / 6
        pen.line(((x - 0.14, y), (x + 0.14, y + 0.06)), 0.05, (120, 90, 64))
    for j, a in enumerate((-0.5, 0.1, 0.75, 1.57, 2.4, 3.05, 3.65)):
        x, y = float(np.cos(a)), float(np.sin(a))
        reach = 1.9
        mid = (lean + 0.6 * reach * x, tall + 0.6 * reach * y * 0.7 + 0.5)
        end = (lean + reach * x, tall + reach * y * 0.6 - 0.25)
        pen.blob(((lean, tall - 0.1), (mid[0], mid[1] - 0.34), end, (mid[0], mid[1] + 0.16),
                  (lean, tall + 0.14)), shade(leaf, 0.82 + 0.09 * (j % 4)), 1)  # fmt: skip


def street_lamp(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A street lamp: a lantern on a post, or an arm over the road."""
    del pose
    steel = pick(rng, ((58, 66, 74), (40, 60, 56), (96, 100, 106)))
    lamps = pen.canvas.light.lamps
    bulb = mix((240, 240, 226), (255, 226, 150), lamps)
    pen.shadow(0.25, 3.0)
    pen.box(-0.2, 0.0, 0.2, 0.4, steel)
    if rng.random() < 0.5:
        pen.box(-0.09, 0.3, 0.09, 3.5, steel)
        pen.polygon(((-0.2, 3.5), (0.2, 3.5), (0.36, 4.15), (-0.36, 4.15)), bulb, lamps)
        pen.polygon(((-0.46, 4.12), (0.46, 4.12), (0.1, 4.45), (-0.1, 4.45)), steel)
        pen.box(-0.3, 3.4, 0.3, 3.52, steel)
        pen.glow(0.0, 3.85, 1.9, (255, 206, 120))
    else:
        pen.box(-0.1, 0.3, 0.1, 4.6, steel)
        pen.line(((0.0, 4.55), (0.3, 4.78), (1.3, 4.86)), 0.15, steel)
        pen.polygon(((0.7, 4.78), (1.62, 4.78), (1.5, 5.0), (0.8, 5.0)), steel)
        pen.box(0.78, 4.62, 1.54, 4.8, bulb, lamps)
        pen.glow(1.15, 4.6, 1.9, (255, 206, 120))


def traffic_light(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A traffic light with one of its three lamps on."""
    del pose
    pen.shadow(0.25, 2.4)
    case = pick(rng, ((44, 48, 52), (30, 62, 54), (56, 56, 46)))
    pen.box(-0.09, 0.0, 0.09, 2.3, (110, 114, 118))
    pen.box(-0.16, 0.0, 0.16, 0.25, (84, 88, 92))
    pen.box(-0.4, 2.1, 0.4, 3.78, (236, 208, 66))
    pen.box(-0.34, 2.16, 0.34, 3.72, case)
    on = int(rng.integers(3))
    lamps: tuple[RGB, ...] = ((66, 224, 110), (255, 196, 50), (250, 58, 50))
    for i, colour in enumerate(lamps):
        y = 2.42 + 0.52 * i
        lit = i == on
        pen.oval(0.0, y, 0.22, 0.22, colour if lit else shade(colour, 0.3), float(lit))
        if lit:
            pen.glow(0.0, y, 0.9, colour)


def bench(pen: Pen, rng: np.random.Generator, pose: str) -> None:
    """A park bench from the front."""
    del pose
    wood = pick(rng, ((168, 108, 62), (140, 84, 52), (196, 140, 84), (90, 130, 96)))
    iron = (52, 54, 60)
    pen.shadow(1.0, 0.8)
    for x in (-0.8, 0.8):
        pen.box(x - 0.07, 0.0, x + 0.07, 0.98, iron)
    for i, y in enumerate((0.56, 0.74, 0.92)):
        pen.box(-1.0, y, 1.0, y + 0.15, shade(wood, 0.84 + 0.08 * i))
    pen.polygon(((-1.06, 0.38), (1.06, 0.38), (1.0, 0.52), (-1.0, 0.52)), shade(wood, 1.1))
    pen.box(-1.06, 0.3, 1.06, 0.39, shade(wood, 0.7))
    for x in (-0.9, 0.9):
        pen.box(x - 0.07, 0.0, x + 0.07, 0.32, iron)
