"""Core AI's own runtime on this machine's CPU, behind the session protocol."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from coreai.authoring import AIModelAsset
from coreai.runtime import InferenceFunction, NDArray
from numpy import typing as npt

from export.session import Outputs
from export.targets.coreai.asset import ENTRY, open_asset
from lvt.errors import UserError


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps what converter and runtime print out of results on stdout."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


class CoreAISession:
    """An asset, lowered for the CPU and loaded.

    Args:
        path: an .aimodel folder of one function, of one image.

    Raises:
        UserError: no whole asset, or the runtime refuses it.
    """

    def __init__(self, path: Path):
        asset = open_asset(path)
        try:
            self._function, self._input, self._names = asyncio.run(_load(asset))
        except (RuntimeError, KeyError, OSError) as error:
            raise UserError(f"Core AI cannot load {path.name}: {error}") from error

    def run(self, image: npt.NDArray[np.float32]) -> Outputs:
        given = NDArray(np.ascontiguousarray(image))
        outputs = asyncio.run(_call(self._function, given, self._input))
        return {name: np.array(outputs[name].numpy()) for name in self._names}


async def _call(function: InferenceFunction, image: NDArray, name: str) -> dict[str, Any]:
    return await function({name: image})


async def _load(asset: AIModelAsset) -> tuple[InferenceFunction, str, list[str]]:
    async with asset.executable() as model:
        function = model.load_function(ENTRY)
        (image,) = function.desc.input_names
        return function, image, list(function.desc.output_names)
