"""A Core ML package behind the session protocol, on any machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.coreml.evaluator import Evaluator
from export.session import Outputs

INPUT = "image"


class EvaluatorSession:
    """See `export.session.Session`; the package's only input is called `image`."""

    def __init__(self, path: Path):
        """Loads the package; raises what `Evaluator` does."""
        self._evaluator = Evaluator(path)

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """One inference; float16 outputs are returned as float32, integers as they are.

        Args:
            image: (1, 3, H, W) float32 NCHW, preprocessed; for a package that preprocesses
                itself (an image input), pixel values 0..255 in the package's colour order.
        """
        return {
            name: value.astype(np.float32) if value.dtype == np.float16 else value
            for name, value in self._evaluator.run({INPUT: image}).items()
        }
