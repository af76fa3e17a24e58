"""Brings the weights of a checkpoint to the names and the data type of the reference model.

`LEFTOVERS` lists the entries that are no weights of the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lvt.errors import UserError
from lvt.support.messages import summarize_names

WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of key names that DDP, torch.compile, FSDP and activation checkpointing insert."""


@dataclass(frozen=True)
class Leftover:
    """A kind of entries that are no weights of the model and are ignored.

    Attributes:
        pattern: regular expression of the whole key, without prefixes.
        description: for the note; "" for no note.
    """

    pattern: str
    description: str


LEFTOVERS = (
    Leftover(r"decode_head\.conv_seg\.(weight|bias)", ""),
    Leftover(r"(.+\.)?total_(ops|params)", "thop's counters"),
    Leftover(r"auxiliary_head\..+", "an auxiliary head, which only training uses"),
    Leftover(r"(n_averaged|steps|num_updates|decay)", "a counter of averaged weights"),
    Leftover(r"ema_\w+", "mmcv's second copy of averaged weights"),
    Leftover(r"data_preprocessor\.(mean|std)", "the normalisation's buffers"),
    Leftover(
        r"(criterion|loss|losses|loss_fn|loss_func|\w*metrics?|(train|val|test)_\w+)\..+",
        "losses and metrics of training",
    ),
)
"""`decode_head.conv_seg`, in official segmentation checkpoints, is inherited and never used."""

DEAD_KEYS = frozenset({"decode_head.conv_seg.weight", "decode_head.conv_seg.bias"})
"""Keys of official segmentation checkpoints that the official model never uses."""


def normalize_state_dict(
    path: Path, state: Mapping[str, Any]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Float32 tensors with the model's own key names, and notes on the entries that are ignored.

    Args:
        path: the checkpoint, for messages.
        state: the entry of the checkpoint that holds the weights.

    Raises:
        UserError: the entry is empty, or holds entries that are not tensors, or weights that are
            not finite.
    """
    wrong = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
    if wrong:
        raise UserError(
            f"{path.name} is not a model checkpoint: it holds entries that are not tensors: "
            f"{summarize_names(wrong)}"
        )
    if not state:
        raise UserError(f"{path.name} is not a model checkpoint: it holds no tensors")
    names, ignored = _model_names(path, [str(key) for key in state])
    normalized: dict[str, Tensor] = {}
    for key, value in state.items():
        name = names.get(str(key))
        if name is None:
            continue
        if not _is_plain(value):
            raise UserError(f"{path.name}: {name} is not a plain tensor of real numbers")
        value = value.detach()
        if value.is_floating_point():
            value = value.float()
            if not torch.isfinite(value).all():
                raise UserError(f"{path.name}: {name} holds NaN or infinite weights")
        normalized[name] = value
    notes = [
        f"ignored: {description} ({summarize_names(keys)})"
        for description, keys in ignored.items()
        if description
    ]
    if counters := _missing_counters(normalized):
        normalized |= dict.fromkeys(counters, torch.zeros((), dtype=torch.int64))
        notes.append(
            f"batch counters are missing ({summarize_names(counters)}); inference does not use them"
        )
    return normalized, tuple(notes)


def _model_names(path: Path, keys: list[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The name in the model of each key, and the ignored keys by their description.

    Raises:
        UserError: two keys have the same name in the model.
    """
    names = {key: _without_wrappers(key) for key in keys}
    ignored: dict[str, list[str]] = {}
    while True:
        for key, name in list(names.items()):
            if (description := _leftover(name)) is not None:
                ignored.setdefault(description, []).append(key)
                del names[key]
        prefixes = {name.partition(".")[0] for name in names.values()}
        has_inner_backbone = any(".backbone.0.0." in name for name in names.values())
        has_backbone = any(name.startswith("backbone.0.0.") for name in names.values())
        if len(prefixes) != 1 or has_backbone or not has_inner_backbone:
            break
        names = {key: name.partition(".")[2] for key, name in names.items()}
    if len(set(names.values())) < len(names):
        twice = [name for name in names.values() if list(names.values()).count(name) > 1]
        raise UserError(f"{path.name} holds {twice[0]} twice, under different prefixes")
    return names, ignored


def _without_wrappers(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in WRAPPERS)


def _leftover(name: str) -> str | None:
    """The description of an ignored entry; None for a weight."""
    descriptions = (kind.description for kind in LEFTOVERS if re.fullmatch(kind.pattern, name))
    return next(descriptions, None)


def _missing_counters(state: Mapping[str, Tensor]) -> list[str]:
    """Names of the batch counters of BatchNorm layers that are missing; some tools drop them."""
    norms = [key.removesuffix("running_mean") for key in state if key.endswith(".running_mean")]
    return [
        f"{norm}num_batches_tracked" for norm in norms if f"{norm}num_batches_tracked" not in state
    ]


def _is_plain(tensor: Tensor) -> bool:
    """Whether the tensor is dense and real, and the file holds all its numbers.

    A file of a few bytes can describe a tensor of terabytes: one number with a stride of 0.
    """
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        return False
    if tensor.is_quantized or tensor.is_complex():
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
