"""Specifications of reference models: building them, names of their outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lvt.backbone import LVT
from lvt.classification import LVTClassifier, LVTPooledClassifier
from lvt.config import PRESETS, TASKS, LVTConfig, Task, preset
from lvt.errors import UserError
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.model import LVTPanoptic
from lvt.semantic import DECODER_DIM, LVTSegFormer
from lvt.support.validation import whole_number

PANOPTIC_OUTPUTS = ("boxes", "scores", "labels", "masks", "semantic")
"""Names of the outputs of a panoptic artifact."""


@dataclass(frozen=True)
class ModelSpec:
    """Everything that is needed to build a reference model.

    Attributes:
        task: task of the model.
        config: configuration of the backbone.
        classes: number of classes, 0 for a bare backbone; for panoptic, of things and stuff.
        pooled: classification only; mean pooling in place of class attention.
        output_norms: backbone only; a LayerNorm on each output.
        decoder_dim: semantic only; width of the decoder.
        panoptic: panoptic only; configuration of everything after the backbone.

    Raises:
        UserError: `panoptic` is missing, is given for another task, has another number of classes,
            or has other strides than the backbone; or a number is out of range.
    """

    task: Task
    config: LVTConfig
    classes: int = 0
    pooled: bool = False
    output_norms: bool = False
    decoder_dim: int = DECODER_DIM
    panoptic: PanopticConfig | None = None

    def __post_init__(self) -> None:
        has_classes = self.task in ("classification", "semantic")
        whole_number(self.classes, "classes", int(has_classes), 1 << 16)
        whole_number(self.decoder_dim, "decoder_dim", 1, 1 << 13)
        if (self.task == "panoptic") != (self.panoptic is not None):
            raise UserError(f"a {self.task} model and a panoptic configuration do not go together")
        if self.panoptic is None:
            return
        if self.classes != self.panoptic.void:
            raise UserError(
                f"{self.classes} classes, but the panoptic model has {self.panoptic.void}"
            )
        strides = self.config.strides
        if self.panoptic.anchors.strides[: len(strides)] != strides:
            raise UserError(
                f"a panoptic model takes no {self.name} backbone: its maps are at strides "
                f"{', '.join(map(str, strides))}, not each half as large as the one before"
            )

    @classmethod
    def for_panoptic(cls, config: LVTConfig, panoptic: PanopticConfig) -> ModelSpec:
        """The panoptic model on a backbone."""
        return cls("panoptic", config, panoptic.void, panoptic=panoptic)

    @property
    def name(self) -> str:
        """The name of the backbone's preset, or `custom`."""
        names = {config: name for name, config in reversed(PRESETS.items())}
        return names.get(self.config, "custom")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the output tensors of a session, in their order."""
        if self.task == "panoptic":
            return PANOPTIC_OUTPUTS
        if self.task != "backbone":
            return ("logits",)
        strides = self.config.strides
        if len(set(strides)) == len(strides):
            return tuple(f"stride{stride}" for stride in strides)
        return tuple(f"stage{i}_stride{stride}" for i, stride in enumerate(strides, start=1))

    def with_recursion(self, depth: int) -> ModelSpec:
        """The same model with another recursion depth."""
        return replace(self, config=replace(self.config, recursion=depth))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as checkpoints and manifests contain it."""
        data = {
            "task": self.task,
            "backbone": self.config.to_dict(),
            "classes": self.classes,
            "pooled": self.pooled,
            "output_norms": self.output_norms,
            "decoder_dim": self.decoder_dim,
        }
        return data | {"panoptic": self.panoptic.to_dict()} if self.panoptic else data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelSpec:
        """Inverse of `to_dict`.

        Raises:
            UserError: the data does not describe a model.
        """
        try:
            if data["task"] not in TASKS:
                raise UserError(f"unknown task {data['task']!r}; known: {', '.join(TASKS)}")
            panoptic = data.get("panoptic")
            return cls(
                task=data["task"],
                config=LVTConfig.from_dict(data["backbone"]),
                classes=data["classes"],
                pooled=bool(data["pooled"]),
                output_norms=bool(data["output_norms"]),
                decoder_dim=data["decoder_dim"],
                panoptic=PanopticConfig.from_dict(panoptic) if panoptic else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"not a model description: {error!r}") from error


DEFAULT_CLASSES = {"classification": 1000, "semantic": 150}
"""Number of classes of ImageNet-1k and ADE20K, as in the paper."""


def default_spec(task: Task, preset_name: str = "lvt") -> ModelSpec:
    """The paper's model for a task.

    Raises:
        UserError: there is no such preset.
    """
    config = preset(preset_name)
    if task == "panoptic":
        return ModelSpec.for_panoptic(config, PanopticConfig())
    return ModelSpec(task, config, DEFAULT_CLASSES.get(task, 0))


def build(spec: ModelSpec) -> nn.Module:
    """The reference model with untrained weights, in evaluation mode."""
    model: nn.Module
    if spec.task == "backbone":
        model = LVT(spec.config, output_norms=spec.output_norms)
    elif spec.task == "semantic":
        model = LVTSegFormer(spec.config, spec.classes, spec.decoder_dim)
    elif spec.panoptic is not None:
        model = LVTPanoptic(spec.config, spec.panoptic)
    elif spec.pooled:
        model = LVTPooledClassifier(spec.config, spec.classes)
    else:
        model = LVTClassifier(spec.config, spec.classes)
    return model.eval()


def build_random(spec: ModelSpec, seed: int = 0) -> nn.Module:
    """The same as `build`, with reproducible random weights; keeps the global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(spec)


def named_outputs(spec: ModelSpec, outputs: Tensor | tuple[Tensor, ...]) -> dict[str, Tensor]:
    """The return value of a model as {output name: tensor}."""
    values = (outputs,) if isinstance(outputs, Tensor) else outputs
    return dict(zip(spec.outputs, values, strict=True))
