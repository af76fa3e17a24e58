"""Finds the weights, and the metadata, in the containers that training tools write.

`CONTAINERS` lists the known containers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from lvt.checkpoint.meta import CheckpointMeta, parse_meta
from lvt.errors import UserError
from lvt.support.messages import summarize_names


@dataclass(frozen=True)
class Container:
    """A layout of checkpoint files.

    Attributes:
        name: short name.
        writer: tools that write it.
        marker: an entry that only this container has; "" for the fallback.
        weights: names of the entry with the weights, in the order of precedence.
        ema: names of the entry with the exponential moving average of the weights.
        extras: metadata that is read as well.
    """

    name: str
    writer: str
    marker: str
    weights: tuple[str, ...]
    ema: tuple[str, ...] = ()
    extras: str = ""


CONTAINERS = (
    Container(
        "mmengine",
        "mmengine, mmsegmentation 1, mmdetection 3",
        "message_hub",
        ("state_dict",),
        ("ema_state_dict",),
        "names, palette and normalisation of `meta`",
    ),
    Container(
        "mmcv",
        "mmcv 1, the official segmentation and panoptic checkpoints",
        "meta",
        ("state_dict",),
        ("ema_state_dict",),
        "names, palette and normalisation of `meta`",
    ),
    Container(
        "lightning",
        "Lightning",
        "pytorch-lightning_version",
        ("state_dict",),
        ("ema_state_dict", "state_dict_ema"),
    ),
    Container(
        "timm",
        "timm, the official classifier",
        "state_dict",
        ("state_dict",),
        ("state_dict_ema",),
    ),
    Container(
        "training loop",
        "PyTorch training loops",
        "",
        ("model_state_dict", "model_state", "model", "module", "net", "network", "weights"),
        ("model_ema", "ema_state_dict", "ema_model", "ema"),
    ),
)
"""The known containers, in the order in which they are tried.

If no entry has one of the names, the only mapping of tensors in the file is used. A file that is
itself a mapping of tensors is a bare state dict.
"""

_EMA_NAME = re.compile(r"(^|_)ema(_|$)|averaged|^swa", re.IGNORECASE)
_NOT_WEIGHTS = re.compile(r"optim|sched|scaler|^amp$|^loops$|^callbacks$|^hyper_parameters$")
_MAX_DEPTH = 3
"""Levels of nested mappings that are searched for weights."""


def unwrap(path: Path, content: Any, *, ema: bool) -> tuple[str, Mapping[str, Any], CheckpointMeta]:
    """The container's name, the entry with the weights, and the metadata.

    Args:
        path: the checkpoint, for messages.
        content: the content of the file.
        ema: take the exponential moving average of the weights.

    Raises:
        UserError: there are no weights, several sets of them, or no moving average for `ema`.
    """
    if not isinstance(content, Mapping):
        raise UserError(f"{path.name} holds a {type(content).__name__}, not a state dict")
    container = _find_container(content)
    plain: Mapping[str, Any] | None = content
    averaged: Mapping[str, Any] | None = None
    meta = CheckpointMeta()
    if container is not None:
        plain, averaged = _entries(path, content, container)
        entry = content.get("meta")
        meta = parse_meta(entry) if isinstance(entry, Mapping) else meta
    if plain is not None and averaged is None:
        plain, averaged = _split_ema(plain)
    if ema and averaged is None:
        raise UserError(f"{path.name} has no EMA weights; leave out --ema")
    ema = ema or plain is None
    state = averaged if ema else plain
    assert state is not None
    if averaged is not None:
        meta = replace(meta, notes=(*meta.notes, *_ema_notes(container, ema=ema)))
    return container.name if container else "state dict", state, meta


def _ema_notes(container: Container | None, *, ema: bool) -> Iterator[str]:
    if container is not None and container.name in ("mmengine", "mmcv"):
        yield (
            "mmengine's EMA hook swaps the two sets of weights before it saves: state_dict usually "
            "has the averaged weights already, and ema_state_dict, which --ema takes, the others"
        )
    elif not ema:
        yield "EMA weights are present; give --ema to use them"


def _find_container(content: Mapping[str, Any]) -> Container | None:
    """The container of a file; None for a bare state dict."""
    tensors = [str(key) for key, value in content.items() if isinstance(value, Tensor)]
    mappings = any(isinstance(value, Mapping) for value in content.values())
    if any("." in key for key in tensors) or (tensors and not mappings):
        return None
    for container in CONTAINERS:
        if not container.marker:
            return container if content else None
        if container.marker == "meta" and not isinstance(content.get("meta"), Mapping):
            continue
        if container.marker in content and "state_dict" in content:
            return container
    return None


def _entries(
    path: Path, content: Mapping[str, Any], container: Container
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """The weights and their moving average; None for the one that is not in the file.

    Raises:
        UserError: several entries could be the weights, or `state_dict` is not a mapping.
    """
    mappings = dict(_tensor_mappings(content))
    averaged = {name: state for name, state in mappings.items() if _is_ema(name)}
    plain = {name: state for name, state in mappings.items() if name not in averaged}
    entry = content.get("state_dict", {})
    if "state_dict" in container.weights and not isinstance(entry, Mapping):
        raise UserError(f"{path.name}: its state_dict is a {type(entry).__name__}, not a dict")
    weights = _choose(path, plain, container.weights)
    if weights is None and not averaged:
        named = (content.get(key) for key in container.weights)
        weights = next((value for value in named if isinstance(value, Mapping)), content)
    return weights, _choose(path, averaged, container.ema)


def _tensor_mappings(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every mapping of tensors in the file, with its path of names."""
    for key, value in content.items():
        name = f"{prefix}{key}"
        if not isinstance(value, Mapping) or _NOT_WEIGHTS.search(str(key)):
            continue
        if any(isinstance(entry, Tensor) for entry in value.values()):
            yield name, value
        elif name.count(".") + 1 < _MAX_DEPTH:
            yield from _tensor_mappings(value, f"{name}.")


def _is_ema(name: str) -> bool:
    return any(_EMA_NAME.search(part) for part in name.split("."))


def _choose(
    path: Path, mappings: Mapping[str, Mapping[str, Any]], preferred: tuple[str, ...]
) -> Mapping[str, Any] | None:
    """The mapping with a preferred name, or the only one; None if there are none.

    Raises:
        UserError: there are several, and none has a preferred name.
    """
    with_backbone = {
        name: state
        for name, state in mappings.items()
        if any("backbone." in str(key) for key in state)
    }
    candidates = with_backbone or mappings
    for key in preferred:
        for name, state in candidates.items():
            if name.split(".")[0] == key:
                return state
    if len(candidates) > 1:
        raise UserError(
            f"{path.name} holds several sets of weights ({summarize_names(sorted(candidates))}): "
            "save the one to use in a file of its own"
        )
    return next(iter(candidates.values()), None)


def _is_ema_key(key: str) -> bool:
    return "." in key and bool(_EMA_NAME.search(key.split(".")[0]))


def _split_ema(
    state: Mapping[str, Any],
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """Weights, and averaged weights under a prefix in the same mapping, as in Lightning modules."""
    averaged = {key: value for key, value in state.items() if _is_ema_key(str(key))}
    plain = {key: value for key, value in state.items() if key not in averaged}
    both = all(any("backbone." in str(key) for key in part) for part in (averaged, plain))
    return (plain, averaged) if both else (state, None)
