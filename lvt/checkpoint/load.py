"""A checkpoint's weights in the reference model, strictly."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from lvt.checkpoint.containers import summarize_names
from lvt.checkpoint.read import Checkpoint
from lvt.errors import UserError
from lvt.models import ModelSpec, build


def load_model(checkpoint: Checkpoint, spec: ModelSpec) -> nn.Module:
    """The reference model with the checkpoint's weights, loaded strictly, in evaluation mode.

    Raises:
        UserError: names the keys that are missing, unexpected or mis-shaped.
    """
    expected = _expected(checkpoint.path, spec)
    given = checkpoint.state_dict
    missing = sorted(expected.keys() - given.keys())
    unexpected = sorted(given.keys() - expected.keys())
    shaped = [
        f"{key} is {_shape(given[key])}, not {_shape(expected[key])}"
        for key in sorted(expected.keys() & given.keys())
        if given[key].shape != expected[key].shape
    ]
    problems = [
        f"{kind}: {summarize_names(keys)}"
        for kind, keys in (("missing", missing), ("unexpected", unexpected), ("shape", shaped))
        if keys
    ]
    if problems:
        raise UserError(
            f"{checkpoint.path.name} does not fit the {spec.name} {spec.task} model; "
            + "; ".join(problems)
        )
    model = build(spec)
    model.load_state_dict(given, strict=True)
    return model


def _expected(path: Path, spec: ModelSpec) -> dict[str, Tensor]:
    """Names and shapes of a model's weights, without memory for them: a file may ask for any.

    Raises:
        UserError: there is no such model.
    """
    try:
        with torch.device("meta"):
            return build(spec).state_dict()
    except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        raise UserError(f"{path.name} describes a model that cannot be built: {error}") from error


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
