"""Identifies the model of a checkpoint from its keys and shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from lvt.backbone import LVT
from lvt.checkpoint.read import Checkpoint
from lvt.config import PRESETS, LVTConfig, Task, preset
from lvt.errors import UserError
from lvt.models import ModelSpec
from lvt.panoptic.config import PanopticConfig
from lvt.support.messages import summarize_names


def identify(
    checkpoint: Checkpoint, *, task: Task | None = None, preset_name: str | None = None
) -> ModelSpec:
    """The model that the checkpoint's keys and shapes belong to.

    Args:
        checkpoint: the checkpoint.
        task: the task that the user expects; None for any.
        preset_name: the preset of the backbone; None for the one that fits best. A preset sets the
            recursion depth, which shapes do not show. If the file describes its model, the preset
            changes only that depth.

    Raises:
        UserError: the keys belong to another task, or to no LVT model; or the file describes a
            model without recursion, and a preset is shapes.
    """
    config = preset(preset_name) if preset_name else None
    spec = checkpoint.spec
    if spec is None:
        state = checkpoint.state_dict
        spec = _spec_from_keys(checkpoint.path, state, config or _nearest_preset(state))
    elif config is not None:
        if not (spec.config.recursive and config.recursive):
            raise UserError(
                f"{checkpoint.path.name} describes its model; --preset {preset_name} could only "
                "change the depth of its recursion: leave it out"
            )
        spec = spec.with_recursion(config.recursion)
    if task is not None and spec.task != task:
        raise UserError(
            f"{checkpoint.path.name} is a {spec.task} checkpoint, not {task}: "
            f"ask for {spec.task} or give another file"
        )
    return spec


def _nearest_preset(state: Mapping[str, Tensor]) -> LVTConfig:
    """The preset whose backbone differs in the fewest keys, then in the fewest shapes.

    It need not be equal: for a damaged file, the nearest preset gives the most useful error.
    """
    nested = any(key.startswith("backbone.backbone.") for key in state)
    shapes = {
        key.removeprefix("backbone.") if nested else key: value.shape
        for key, value in state.items()
        if key.startswith("backbone.")
    }

    def differences(config: LVTConfig) -> tuple[int, int]:
        expected = _backbone_shapes(config)
        common = shapes.keys() & expected.keys()
        return len(shapes.keys() ^ expected), sum(shapes[key] != expected[key] for key in common)

    return min(PRESETS.values(), key=differences)


@cache
def _backbone_shapes(config: LVTConfig) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {key: value.shape for key, value in LVT(config).state_dict().items()}


def _spec_from_keys(path: Path, state: Mapping[str, Tensor], config: LVTConfig) -> ModelSpec:
    """The model whose keys these are, with the sizes that their shapes show."""

    def rows(key: str) -> int:
        """Size of the first axis of a weight."""
        if key not in state or not state[key].numel() or state[key].ndim == 0:
            raise UserError(f"{path.name} is incomplete: {key} is missing")
        return state[key].shape[0]

    if any(key.startswith("roi_head.") for key in state):
        return ModelSpec.for_panoptic(config, _panoptic_config(rows))
    if any(key.startswith("decode_head.") for key in state):
        classes = rows("decode_head.linear_pred.bias")
        decoder_dim = rows("decode_head.linear_fuse.conv.weight")
        return ModelSpec("semantic", config, classes, decoder_dim=decoder_dim)
    if not any(key.startswith("backbone.0.0.") for key in state):
        raise UserError(
            f"{path.name} is no LVT checkpoint: it has no backbone.0.0.* weights, but "
            f"{summarize_names(sorted(state))}"
        )
    if "cls_token" in state:
        return ModelSpec("classification", config, rows("head.bias"))
    if "head.weight" in state:
        return ModelSpec("classification", config, rows("head.bias"), pooled=True)
    norms = any(key.startswith("downstream_norms.") for key in state)
    return ModelSpec("backbone", config, output_norms=norms)


def _panoptic_config(rows: Callable[[str], int]) -> PanopticConfig:
    """Class counts and widths from the shapes; everything else as in the official model."""
    defaults = PanopticConfig()
    return replace(
        defaults,
        things=rows("roi_head.bbox_head.fc_cls.bias") - 1,
        stuff=rows("semantic_head.conv_logits.bias") - 1,
        channels=rows("neck.lateral_convs.0.conv.bias"),
        semantic_channels=rows("semantic_head.conv_upsample_layers.0.conv.0.conv.weight"),
        roi=replace(defaults.roi, box_channels=rows("roi_head.bbox_head.shared_fcs.0.bias")),
    )
