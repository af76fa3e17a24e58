"""Loads the weights of a checkpoint into the reference model."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from lvt.checkpoint.read import Checkpoint
from lvt.errors import UserError
from lvt.models import ModelSpec, build
from lvt.support.messages import summarize_names


def load_model(checkpoint: Checkpoint, spec: ModelSpec) -> nn.Module:
    """The reference model with the checkpoint's weights, in evaluation mode.

    Raises:
        UserError: keys are missing, unexpected or of another shape; the message names them.
    """
    expected = _expected_state(checkpoint.path, spec)
    state = checkpoint.state_dict
    missing = sorted(expected.keys() - state.keys())
    unexpected = sorted(state.keys() - expected.keys())
    mismatched = [
        f"{key} is {_shape(state[key])}, not {_shape(expected[key])}"
        for key in sorted(expected.keys() & state.keys())
        if state[key].shape != expected[key].shape
    ]
    problems = [
        f"{kind}: {summarize_names(keys)}"
        for kind, keys in (("missing", missing), ("unexpected", unexpected), ("shape", mismatched))
        if keys
    ]
    if problems:
        raise UserError(
            f"{checkpoint.path.name} does not fit the {spec.name} {spec.task} model; "
            + "; ".join(problems)
        )
    model = build(spec)
    model.load_state_dict(state, strict=True)
    return model


def _expected_state(path: Path, spec: ModelSpec) -> dict[str, Tensor]:
    """The model's state dict on the meta device: the file may describe a model of any size.

    Raises:
        UserError: no model can be built from the description.
    """
    try:
        with torch.device("meta"):
            return build(spec).state_dict()
    except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        raise UserError(f"{path.name} describes a model that cannot be built: {error}") from error


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
