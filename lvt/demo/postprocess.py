"""Computes the final picture from the supersampled canvas: texture, haze, reflections, glow.

These effects work on pixels at the final size. They change only colours, not labels.
"""

from functools import lru_cache

import numpy as np
from PIL import Image

from lvt.demo.backdrops import stuff_label
from lvt.demo.canvas import SUPERSAMPLE, Canvas

_TILE = 256
_GROUND = ("road", "pavement", "grass", "water", "sand")
_GRAIN = {
    "sky": 0.8, "building": 3.5, "road": 6.0, "pavement": 6.0, "grass": 13.0, "water": 6.0,
    "mountain": 4.0, "foliage": 13.0, "sand": 8.0,
}  # fmt: skip
"""Strength of the texture of each stuff class, in grey levels at full daylight."""
_THING_GRAIN = 3.0


def majority(labels: Image.Image) -> np.ndarray:
    """The most frequent label of each 2 x 2 samples (uint8); of equal ones, the first."""
    full = np.asarray(labels)
    a, b, c, d = full[::2, ::2], full[::2, 1::2], full[1::2, ::2], full[1::2, 1::2]
    first = (a == b) | (a == c) | (a == d)
    second = (b == c) | (b == d)
    voted: np.ndarray = np.where(first, a, np.where(second, b, np.where(c == d, c, a)))
    return voted


@lru_cache(maxsize=1)
def _noise() -> np.ndarray:
    """Periodic noise (256, 256) float32 with zero mean and unit variance."""
    rng = np.random.default_rng(20)
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.fftfreq(_TILE)[None, :])
    frequency[0, 0] = 1.0
    spectrum = np.fft.fft2(rng.standard_normal((_TILE, _TILE))) / frequency**0.75
    spectrum[0, 0] = 0.0
    total = np.fft.ifft2(spectrum).real
    tile: np.ndarray = (total / total.std()).astype(np.float32)
    return tile


def _sample(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The noise at coordinates that are truncated to integers and wrap around."""
    row = v.astype(np.int32) & (_TILE - 1)
    column = u.astype(np.int32) & (_TILE - 1)
    values: np.ndarray = _noise().ravel()[row * _TILE + column]
    return values


def _texture(canvas: Canvas, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Texture (H, W) float32 in grey levels, in perspective on the ground."""
    height, width = labels.shape
    view = canvas.view
    grain = np.full(256, _THING_GRAIN, dtype=np.float32)
    for name, strength in _GRAIN.items():
        grain[stuff_label(name)] = strength
    shift = rng.integers(0, _TILE, 4)
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)
    out = _sample((x + shift[0])[None, :], (y + shift[1])[:, None])
    top = int(view.horizon) // SUPERSAMPLE + 1
    metre = ((y[top:] + 0.5) - view.horizon / SUPERSAMPLE) / view.height
    across = (x - view.centre / SUPERSAMPLE)[None, :] / metre[:, None] + 512.0
    depth = (view.focal / SUPERSAMPLE / metre)[:, None] + shift[2]
    # About one texel per pixel on the nearest ground, so that texels are not visible as squares.
    rate = 0.9 * float(metre[-1])
    fine = _sample(across * rate + shift[3], depth * rate * 0.6)
    near = np.clip(metre / (0.5 * metre[-1]), 0.15, 1.0)[:, None]
    on_ground = np.isin(labels[top:], [stuff_label(n) for n in _GROUND])
    waves = labels[top:] == stuff_label("water")
    ripple = _sample(across * 0.15 * rate + shift[1], depth * 0.6 * rate)
    ground = np.where(waves, ripple * near, fine * near)
    out[top:] = np.where(on_ground, ground, out[top:])
    textured: np.ndarray = out * grain[labels]
    return textured


def _reflect(picture: np.ndarray, labels: np.ndarray, surface: np.ndarray) -> None:
    """Adds reflections in water, in place; `surface` is the first row of water in each column."""
    rows, columns = np.nonzero(labels == stuff_label("water"))
    if not rows.size:
        return
    start = surface[columns]
    depth = rows - start
    wobble = np.rint(np.sin(rows * 1.9 + columns * 0.11) * (0.6 + depth * 0.03)).astype(np.int64)
    source = np.clip(start - 1 - depth, 0, None)
    side = np.clip(columns + wobble, 0, labels.shape[1] - 1)
    strength = np.clip(0.46 - depth / (1.6 * labels.shape[0]), 0.2, 0.5).astype(np.float32)
    here = picture[rows, columns]
    picture[rows, columns] = here + (picture[source, side] - here) * strength[:, None]


def _haze(picture: np.ndarray, labels: np.ndarray, canvas: Canvas) -> None:
    """Adds haze to the ground towards the horizon, in place."""
    view, light = canvas.view, canvas.light
    top = int(view.horizon) // SUPERSAMPLE
    y = (np.arange(top, labels.shape[0], dtype=np.float32) + 0.5) * SUPERSAMPLE
    depth = view.focal * view.height / np.maximum(y - view.horizon, 0.5)
    share = np.minimum(0.6, 1.0 - np.exp(-light.fog * depth)).astype(np.float32)
    is_ground = np.isin(labels[top:], [stuff_label(n) for n in _GROUND])
    weight = (share[:, None] * is_ground)[..., None]
    part = picture[top:]
    part += (np.array(light.haze, dtype=np.float32) - part) * weight


def _glow(picture: np.ndarray, canvas: Canvas) -> None:
    """Adds the glow around lamps, in place."""
    if not canvas.glows:
        return
    height, width = picture.shape[:2]
    for glow in canvas.glows:
        cx, cy, radius = (v / SUPERSAMPLE for v in (glow.x, glow.y, glow.radius))
        x0, x1 = max(0, int(cx - 2 * radius)), min(width, int(cx + 2 * radius) + 1)
        y0, y1 = max(0, int(cy - 2 * radius)), min(height, int(cy + 2 * radius) + 1)
        if x0 >= x1 or y0 >= y1:
            continue
        yy, xx = np.ogrid[y0:y1, x0:x1]
        squared = ((xx - cx) ** 2 + (yy - cy) ** 2).astype(np.float32) / radius**2
        fall = np.exp(-1.8 * squared) * 0.4
        picture[y0:y1, x0:x1] += fall[..., None] * np.array(glow.colour, dtype=np.float32)


def _vignette(height: int, width: int) -> np.ndarray:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    fade: np.ndarray = 1.0 - 0.07 * (x * x + y * y)
    return fade


def finish(
    canvas: Canvas, labels: np.ndarray, ground: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The final picture (H, W, 3) uint8.

    Args:
        canvas: the drawn scene.
        labels: labels (H, W) of the scene.
        ground: labels (H, W) of the background, without things.
        rng: random numbers for the texture.
    """
    picture = np.asarray(canvas.rgb.reduce(SUPERSAMPLE), dtype=np.float32)
    picture = picture.copy()
    water = ground == stuff_label("water")
    _reflect(picture, labels, np.argmax(water, axis=0))
    brightness = sum(canvas.light.tint) / 3
    picture += (_texture(canvas, labels, rng) * brightness)[..., None]
    _haze(picture, labels, canvas)
    _glow(picture, canvas)
    picture *= _vignette(*labels.shape)[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)
