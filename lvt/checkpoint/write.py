"""Writes checkpoints in our own container: safetensors with a description of the model."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from lvt.checkpoint.meta import CheckpointMeta
from lvt.checkpoint.read import SAFETENSORS_KEY
from lvt.models import ModelSpec
from lvt.support.files import atomic_folder, publish


def write_checkpoint(
    path: Path,
    model: nn.Module,
    spec: ModelSpec,
    meta: CheckpointMeta | None = None,
    *,
    half: bool = False,
) -> None:
    """Writes a safetensors file with the model's description in the header.

    Args:
        path: the file to write; it appears complete or not at all.
        model: the reference model.
        spec: its description.
        meta: names, palette and input settings to keep.
        half: store floating-point tensors as float16.
    """
    from safetensors.torch import save_file

    meta = meta or CheckpointMeta()
    description = {
        "model": spec.to_dict(),
        "meta": {
            "CLASSES": meta.class_names,
            "PALETTE": meta.palette,
            "input_size": meta.input_size,
            "mean": meta.mean,
            "std": meta.std,
        },
    }
    state = {
        key: (value.half() if half and value.is_floating_point() else value).contiguous()
        for key, value in model.state_dict().items()
    }
    with atomic_folder(path.parent) as scratch:
        save_file(state, scratch / path.name, {SAFETENSORS_KEY: json.dumps(description)})
        publish(scratch / path.name, path)
