"""Core AI's runtime for the CPU behind the session protocol."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
from coreai.authoring import AIModelAsset
from coreai.runtime import InferenceFunction, NDArray
from numpy import typing as npt

from export.session import Outputs
from export.targets.coreai.asset import ENTRY, open_asset
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
            self._function, self._input, self._names = asyncio.run(_load(asset))
        except (RuntimeError, KeyError, OSError) as error:
            raise UserError(f"Core AI cannot load {path.name}: {error}") from error

    def run(self, image: npt.NDArray[np.float32]) -> Outputs:
        """See `export.session.Session.run`."""
        array = NDArray(np.ascontiguousarray(image))
        outputs = asyncio.run(_call(self._function, array, self._input))
        return {name: np.array(outputs[name].numpy()) for name in self._names}


async def _call(function: InferenceFunction, image: NDArray, name: str) -> dict[str, Any]:
    return await function({name: image})


async def _load(asset: AIModelAsset) -> tuple[InferenceFunction, str, list[str]]:
    async with asset.executable() as model:
        function = model.load_function(ENTRY)
        (image,) = function.desc.input_names
        return function, image, list(function.desc.output_names)
