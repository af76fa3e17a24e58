"""A Core ML package behind the session protocol: evaluated on any machine, or run on a Mac."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.session import Outputs
from export.targets.coreml.evaluator import Evaluator
from export.targets.coreml.loader import read_metadata
from export.targets.coreml.suppress_warnings import import_coremltools, quiet
from lvt.data.preprocessing_steps import Normalise

INPUT = "image"
PIXELS_KEY = "lvt.pixels"
"""Metadata of packages that take pixels: the normalisation they apply, as JSON."""


class PixelInput:
    """Gives packages that normalise themselves the pixels behind a preprocessed image."""

    def __init__(self, path: Path):
        """Reads the package's metadata; raises what `read_metadata` does."""
        text = read_metadata(path).get(PIXELS_KEY)
        self.normalise = None if text is None else Normalise(**json.loads(text))

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The image as the package wants it, (1, 3, H, W): as it is, or pixels 0..255."""
        if self.normalise is None:
            return image
        mean = np.asarray(self.normalise.mean)[:, None, None]
        std = np.asarray(self.normalise.std)[:, None, None]
        # They were whole numbers before they were normalised.
        pixels = np.rint((image * std + mean) * self.normalise.scale)
        return pixels.astype(np.float32)


def _float32(outputs: dict[str, NDArray[Any]]) -> Outputs:
    """float16 outputs as float32, integers as they are."""
    return {
        name: value.astype(np.float32) if value.dtype == np.float16 else value
        for name, value in outputs.items()
    }


class EvaluatorSession:
    """See `export.session.Session`: computes the written program with PyTorch."""

    def __init__(self, path: Path):
        """Loads the package; raises what `Evaluator` does."""
        self._input = PixelInput(path)
        self._evaluator = Evaluator(path)

    def run(self, image: NDArray[np.float32]) -> Outputs:
        return _float32(self._evaluator.run({INPUT: self._input(image)}))


class CoreMLSession:
    """See `export.session.Session`: Core ML itself, on a Mac."""

    def __init__(self, path: Path):
        """Compiles and loads the package; raises what coremltools does."""
        ct = import_coremltools()
        self._input = PixelInput(path)
        with quiet():
            self._model = ct.models.MLModel(str(path))
        self._names = [output.name for output in self._model.get_spec().description.output]

    def run(self, image: NDArray[np.float32]) -> Outputs:
        given: Any = self._input(image)
        if self._input.normalise is not None:
            given = Image.fromarray(given[0].transpose(1, 2, 0).astype(np.uint8))
        outputs = self._model.predict({INPUT: given})
        return _float32({name: np.asarray(outputs[name]) for name in self._names})
