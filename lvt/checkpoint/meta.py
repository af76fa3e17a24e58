"""What a checkpoint says of itself beside the weights: names, colours, normalisation.

Decoration must not keep good weights from loading: what has not the form it should have is ignored.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lvt.support.validation import is_text

_LARGEST = 1 << 14
"""Of input sizes, means and deviations that are believed."""


@dataclass(frozen=True)
class CheckpointMeta:
    """What a checkpoint says of itself; None or empty where it says nothing."""

    class_names: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    input_size: tuple[int, int] | None = None
    """Height and width the model was trained for."""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()


def parse_meta(meta: Mapping[str, Any]) -> CheckpointMeta:
    """The entry `meta` of mmcv, of mmengine, or of our own format.

    mmcv writes CLASSES and PALETTE; mmengine classes and palette, one level down in dataset_meta.
    Both keep the text of their configuration, which holds the normalisation.
    """
    nested = meta.get("dataset_meta")
    data = {**meta, **nested} if isinstance(nested, Mapping) else meta
    names = _first(data, "CLASSES", "classes")
    if isinstance(names, (list, tuple)) and names and all(map(is_text, names)):
        class_names = tuple(str(name).strip() for name in names)
    else:
        class_names = None
    mean, std = _numbers(meta.get("mean"), 3), _numbers(meta.get("std"), 3)
    notes: tuple[str, ...] = ()
    if mean is None and std is None:
        mean, std, notes = _configured(meta)
    size = _numbers(meta.get("input_size"), 2)
    return CheckpointMeta(
        class_names=class_names,
        palette=_colours(_first(data, "PALETTE", "palette")),
        input_size=(int(size[0]), int(size[1])) if size and min(size) >= 1 else None,
        mean=mean,
        std=std if std and min(std) > 0 else None,
        notes=notes,
    )


def _first(data: Mapping[str, Any], *keys: str) -> Any:
    return next((data[key] for key in keys if data.get(key) is not None), None)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(value, (list, tuple)) or len(value) != count:
        return None
    plain = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
    # Also not NaN, and no integer beyond all floating-point numbers.
    if not plain or not all(-_LARGEST <= v <= _LARGEST for v in value):
        return None
    return tuple(float(v) for v in value)


def _colours(palette: Any) -> tuple[tuple[int, int, int], ...] | None:
    try:
        colours = [tuple(int(v) for v in colour) for colour in (() if palette is None else palette)]
    except (TypeError, ValueError, OverflowError):
        return None
    if not colours or not all(len(c) == 3 and all(0 <= v < 256 for v in c) for c in colours):
        return None
    return tuple((c[0], c[1], c[2]) for c in colours)


def _configured(
    meta: Mapping[str, Any],
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None, tuple[str, ...]]:
    """Mean, deviation and what to know of them, from the text of a configuration."""
    text = _first(meta, "cfg", "config")
    if not isinstance(text, str):
        return None, None, ()
    found: dict[str, set[tuple[float, ...] | None]] = {"mean": set(), "std": set()}
    for key, value in re.findall(r"['\"]?\b(mean|std)\b['\"]?\s*[=:]\s*(\[[^\[\]]*\])", text):
        try:
            found[key].add(_numbers(ast.literal_eval(value), 3))
        except (ValueError, SyntaxError):
            found[key].add(None)
    notes: list[str] = []
    values = {key: next(iter(given)) if len(given) == 1 else None for key, given in found.items()}
    if any(len(given) > 1 for given in found.values()):
        notes.append("its configuration has several normalisations; the official one is taken")
        values = {"mean": None, "std": None}
    if re.search(r"['\"]?\b(bgr_to_rgb|to_rgb)\b['\"]?\s*[=:]\s*False", text):
        notes.append(
            "its configuration says that the model was trained on BGR pictures; they are given "
            "to it as RGB: exchange the stem's input channels, or train it on RGB"
        )
    return values["mean"], values["std"], tuple(notes)
