"""Core AI's runtime for the CPU behind the session protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from coreai.authoring import AIModelAsset
from coreai.runtime import InferenceFunction, NDArray
from numpy import typing as npt

from export.session import Outputs
from export.targets.coreai.asset import ENTRY, function_names, open_asset
from lvt.errors import UserError


class CoreAISession:
    """An asset, lowered for the CPU and loaded.

    Args:
        path: an .aimodel folder with one function of one image.

    Raises:
        UserError: the asset is missing or damaged, or the runtime refuses it.
    """

    def __init__(self, path: Path):
        asset = open_asset(path)
        try:
            self._function = asyncio.run(_load(asset, [ENTRY]))[ENTRY]
        except (RuntimeError, KeyError, OSError) as error:
            raise UserError(f"Core AI cannot load {path.name}: {error}") from error
        (self._input,) = self._function.desc.input_names

    def run(self, image: npt.NDArray[np.float32]) -> Outputs:
        """See `export.session.Session.run`."""
        return _run(self._function, {self._input: image})


class CoreAIEntryPoints:
    """An asset of a model in parts, lowered for the CPU, with its functions loaded.

    Raises:
        UserError: the asset is missing or damaged, or the runtime refuses it.
    """

    def __init__(self, path: Path):
        asset = open_asset(path)
        try:
            self._functions = asyncio.run(_load(asset, function_names(asset)))
        except (RuntimeError, KeyError, OSError) as error:
            raise UserError(f"Core AI cannot load {path.name}: {error}") from error

    def call(self, name: str, inputs: Mapping[str, npt.NDArray[np.float32]]) -> Outputs:
        """See `export.session.EntryPointSession.call`."""
        return _run(self._functions[name], inputs)


def _run(function: InferenceFunction, inputs: Mapping[str, npt.NDArray[np.float32]]) -> Outputs:
    arrays: dict[str, Any] = {
        name: NDArray(np.ascontiguousarray(value)) for name, value in inputs.items()
    }
    outputs = asyncio.run(_call(function, arrays))
    return {name: np.array(outputs[name].numpy()) for name in function.desc.output_names}


async def _call(function: InferenceFunction, inputs: dict[str, Any]) -> dict[str, Any]:
    return await function(inputs)


async def _load(asset: AIModelAsset, names: Sequence[str]) -> dict[str, InferenceFunction]:
    async with asset.executable() as model:
        return {name: model.load_function(name) for name in names}
