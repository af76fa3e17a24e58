"""Metadata of a checkpoint: class names, colours, input size, normalisation.

Malformed metadata is ignored, because good weights must load without it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lvt.support.validation import is_text

_MAX_VALUE = 1 << 14
"""Largest input size, mean and standard deviation that is accepted."""


@dataclass(frozen=True)
class CheckpointMeta:
    """Metadata of a checkpoint; None or empty for what it does not contain.

    Attributes:
        class_names: in label order.
        palette: RGB colour of each class.
        input_size: (height, width) that the model was trained for.
        mean: normalisation on the 0..255 scale.
        std: normalisation on the 0..255 scale.
        notes: what the user should know about the checkpoint, a line each.
    """

    class_names: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    input_size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()


def parse_meta(meta: Mapping[str, Any]) -> CheckpointMeta:
    """Reads the entry `meta` of mmcv, mmengine or our own format.

    mmcv writes CLASSES and PALETTE; mmengine writes classes and palette in a nested dataset_meta.
    Both store the text of their configuration, which contains the normalisation.
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
        mean, std, notes = _normalisation_of_config(meta)
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
    """The value of the first of the keys that has one; None if none has."""
    return next((data[key] for key in keys if data.get(key) is not None), None)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """The value as `count` numbers; None if it is anything else."""
    if not isinstance(value, (list, tuple)) or len(value) != count:
        return None
    all_numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
    # This also excludes NaN, and integers that no float can hold.
    if not all_numbers or not all(-_MAX_VALUE <= v <= _MAX_VALUE for v in value):
        return None
    return tuple(float(v) for v in value)


def _colours(palette: Any) -> tuple[tuple[int, int, int], ...] | None:
    """The value as RGB colours; None if it is anything else."""
    try:
        colours = [tuple(int(v) for v in colour) for colour in (() if palette is None else palette)]
    except (TypeError, ValueError, OverflowError):
        return None
    if not colours or not all(len(c) == 3 and all(0 <= v < 256 for v in c) for c in colours):
        return None
    return tuple((c[0], c[1], c[2]) for c in colours)


def _normalisation_of_config(
    meta: Mapping[str, Any],
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None, tuple[str, ...]]:
    """Mean, standard deviation and notes, from the text of a configuration."""
    text = _first(meta, "cfg", "config")
    if not isinstance(text, str):
        return None, None, ()
    candidates: dict[str, set[tuple[float, ...] | None]] = {"mean": set(), "std": set()}
    for key, value in re.findall(r"['\"]?\b(mean|std)\b['\"]?\s*[=:]\s*(\[[^\[\]]*\])", text):
        try:
            candidates[key].add(_numbers(ast.literal_eval(value), 3))
        except (ValueError, SyntaxError):
            candidates[key].add(None)
    notes: list[str] = []
    values = {key: next(iter(c)) if len(c) == 1 else None for key, c in candidates.items()}
    if any(len(c) > 1 for c in candidates.values()):
        notes.append("its configuration has several normalisations; the official one is used")
        values = {"mean": None, "std": None}
    if re.search(r"['\"]?\b(bgr_to_rgb|to_rgb)\b['\"]?\s*[=:]\s*False", text):
        notes.append(
            "its configuration says that the model was trained on BGR pictures, but its input is "
            "RGB here: swap the input channels of the stem, or train it on RGB"
        )
    return values["mean"], values["std"], tuple(notes)
