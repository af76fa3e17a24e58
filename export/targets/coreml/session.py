"""A Core ML package behind the session protocol: in the evaluator, or in Core ML on a Mac."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.session import Outputs
from export.targets.coreml.evaluator import Evaluator
from export.targets.coreml.loader import function_names, load, read_metadata
from export.targets.coreml.suppress_warnings import import_coremltools, suppress_warnings
from lvt.data.preprocessing_steps import Normalise

INPUT = "image"
PIXELS_KEY = "lvt.pixels"
"""Metadata key of packages that take pixels: the normalisation that they apply, as JSON."""


class PixelInput:
    """Turns a preprocessed image back into pixels for packages that normalise them themselves."""

    def __init__(self, path: Path):
        """Reads the package's metadata; raises the errors of `read_metadata`."""
        text = read_metadata(path).get(PIXELS_KEY)
        self.normalise = None if text is None else Normalise(**json.loads(text))

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The input of the package, (1, 3, H, W): the image, or pixels 0..255."""
        if self.normalise is None:
            return image
        mean = np.asarray(self.normalise.mean)[:, None, None]
        std = np.asarray(self.normalise.std)[:, None, None]
        # Pixels were integers before the normalisation.
        pixels = np.rint((image * std + mean) * self.normalise.scale)
        return pixels.astype(np.float32)


def _float32(outputs: dict[str, NDArray[Any]]) -> Outputs:
    """Casts float16 outputs to float32; integers stay."""
    return {
        name: value.astype(np.float32) if value.dtype == np.float16 else value
        for name, value in outputs.items()
    }


class EvaluatorSession:
    """See `export.session.Session`: evaluates the written program with PyTorch."""

    def __init__(self, path: Path):
        """Loads the package; raises the errors of `Evaluator`."""
        self._input = PixelInput(path)
        self._evaluator = Evaluator(path)

    def run(self, image: NDArray[np.float32]) -> Outputs:
        return _float32(self._evaluator.run({INPUT: self._input(image)}))


class CoreMLSession:
    """See `export.session.Session`: runs the package in Core ML, on a Mac."""

    def __init__(self, path: Path):
        """Compiles and loads the package; raises the errors of coremltools."""
        ct = import_coremltools()
        self._input = PixelInput(path)
        with suppress_warnings():
            self._model = ct.models.MLModel(str(path))
        self._names = [output.name for output in self._model.get_spec().description.output]

    def run(self, image: NDArray[np.float32]) -> Outputs:
        value: Any = self._input(image)
        if self._input.normalise is not None:
            value = Image.fromarray(value[0].transpose(1, 2, 0).astype(np.uint8))
        outputs = self._model.predict({INPUT: value})
        return _float32({name: np.asarray(outputs[name]) for name in self._names})


class EvaluatorEntryPoints:
    """See `export.session.EntryPointSession`: evaluates the functions of a package."""

    def __init__(self, path: Path):
        """Loads the package; raises the errors of `Evaluator`."""
        self._evaluators = {name: Evaluator(path, name) for name in function_names(path)}

    def call(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> Outputs:
        return _float32(self._evaluators[name].run(inputs))


class CoreMLEntryPoints:
    """See `export.session.EntryPointSession`: runs the functions of a package, on a Mac."""

    def __init__(self, path: Path):
        """Compiles and loads the package; raises the errors of coremltools."""
        ct = import_coremltools()
        with suppress_warnings():
            self._models = {
                name: ct.models.MLModel(str(path), function_name=name)
                for name in function_names(path)
            }
        self._outputs = {name: list(load(path, name).outputs) for name in self._models}

    def call(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> Outputs:
        outputs = self._models[name].predict(dict(inputs))
        return _float32({key: np.asarray(outputs[key]) for key in self._outputs[name]})
