"""Numbers computed by the official code, and the recipe that makes the weights behind them.

Only the numbers and the recipe come from outside; `FACTS` names the commit they were made with.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

FOLDER = Path(__file__).parent


def generate(key: str, shape: list[int], dtype: str, rules: list[list[Any]]) -> np.ndarray:
    """The array the recipe assigns to `key`: the first rule whose pattern is found decides."""
    scale, offset, mode = next(rule[1:] for rule in rules if re.search(rule[0], key))
    if mode == "zeros":
        return np.zeros(shape, dtype)
    generator = np.random.Generator(np.random.Philox(key=zlib.crc32(key.encode())))
    value = generator.standard_normal(tuple(shape)) * scale
    if mode == "fan_in":
        value = value / np.sqrt(float(np.prod(shape[1:])))
    if mode == "abs":
        value = np.abs(value)
    return (value + offset).astype(dtype)


@dataclass(frozen=True)
class Oracle:
    """One oracle file: its JSON and its arrays."""

    spec: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def generate(self, key: str, shape: list[int], dtype: str = "float32") -> torch.Tensor:
        return torch.from_numpy(generate(key, shape, dtype, self.spec["rules"]))

    def state_dict(self, entries: list[list[Any]] | None = None) -> dict[str, torch.Tensor]:
        """Weights for `entries` ([key, shape, dtype] each; the whole model's by default)."""
        entries = self.spec["state_dict"] if entries is None else entries
        return {
            key: torch.from_numpy(np.asarray(generate(key, shape, dtype, self.spec["rules"])))
            for key, shape, dtype in entries
        }

    def difference(self, name: str, actual: torch.Tensor | np.ndarray) -> float:
        """Largest absolute difference of `actual` from the stored array `name`."""
        entry = self.spec["arrays"][name]
        value = np.asarray(actual)
        assert list(value.shape) == entry["shape"], (name, value.shape, entry["shape"])
        if entry["kind"] != "full":
            value = value.reshape(-1)[:: entry["step"]]
        return float(np.abs(value.astype(np.float64) - self.arrays[name].astype(np.float64)).max())


def load_oracle(name: str) -> Oracle:
    """The oracle `name` of this folder."""
    spec = json.loads((FOLDER / f"{name}.json").read_text())
    with np.load(FOLDER / f"{name}.npz") as archive:
        return Oracle(spec, dict(archive))


def sha256(tensor: torch.Tensor) -> str:
    """Digest of a tensor's little-endian bytes, as the oracle files record it."""
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


def run_with_taps(
    model: nn.Module, names: list[str], image: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The model's output, and those of the inner modules that an oracle taps."""
    recorded: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            recorded[name] = output

        return hook

    modules = dict(model.named_modules())
    handles = [modules[name].register_forward_hook(keep(name)) for name in names]
    with torch.inference_mode():
        output = model(image)
    for handle in handles:
        handle.remove()
    return output, recorded
