"""The session protocol: one interface for everything that runs a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.entry_point import EntryPoint
from lvt.models import ModelSpec, named_outputs

Outputs = dict[str, NDArray[np.float32]]


class Session(Protocol):
    """A loaded model."""

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """One inference.

        Args:
            image: (1, 3, H, W) float32, NCHW, preprocessed.

        Returns:
            {output name: array}, in the model's order.
        """
        ...


class EntryPointSession(Protocol):
    """A loaded model file with several entry points."""

    def call(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> Outputs:
        """One call of an entry point.

        Args:
            name: of the entry point.
            inputs: by name, in the shapes of `EntryPoint.inputs`; images are NCHW.

        Returns:
            {output name: array}. The arrays are valid until the next call of this entry point.
        """
        ...


class RecordedSession:
    """Returns recorded outputs, one image after the other."""

    def __init__(self, outputs: Iterable[Outputs]):
        self._rest = iter(outputs)

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """The next recorded outputs; the image is not used."""
        return next(self._rest)


class TorchSession:
    """Runs a PyTorch module with outputs named after its task."""

    def __init__(self, model: nn.Module, spec: ModelSpec):
        self.model = model
        self.spec = spec

    def run(self, image: NDArray[np.float32]) -> Outputs:
        with torch.inference_mode():
            outputs = self.model(torch.from_numpy(image))
        return {name: value.numpy() for name, value in named_outputs(self.spec, outputs).items()}


class TorchEntryPoints:
    """Entry points in PyTorch; see `EntryPointSession`."""

    def __init__(self, entry_points: Iterable[EntryPoint]):
        self._entry_points = {entry.name: entry for entry in entry_points}

    def call(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> Outputs:
        """See `EntryPointSession.call`."""
        entry = self._entry_points[name]
        with torch.inference_mode():
            outputs = entry.module(*(torch.from_numpy(inputs[i.name]) for i in entry.inputs))
        return {key: value.numpy() for key, value in entry.named(outputs).items()}
