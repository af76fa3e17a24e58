"""Which entry of a checkpoint holds the weights, under which names, and what else may be in it.

Two tables of data say what is known; the functions below follow them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lvt.checkpoint.meta import CheckpointMeta, parse_meta
from lvt.errors import UserError


@dataclass(frozen=True)
class Container:
    """One form in which training tools save models.

    Attributes:
        name: for messages and tests.
        writer: who writes it.
        told_by: an entry that no other has; "" for the last resort.
        weights: entries that hold the weights, the first that is there.
        ema: entries that hold their moving average.
        extras: what else is read.
    """

    name: str
    writer: str
    told_by: str
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
"""Looked through in this order. Where no entry has one of these names, the one mapping of tensors
in the file is taken, whatever its name; a file that is such a mapping is a bare state dict."""

WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of names that DDP, torch.compile, FSDP and checkpointed activations put in."""


@dataclass(frozen=True)
class Leftover:
    """Entries that are no weights of the model and are set aside.

    Attributes:
        pattern: of the whole name, without prefixes.
        what: for the note; "" where there is nothing to tell.
    """

    pattern: str
    what: str


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
"""`decode_head.conv_seg` is in official segmentation checkpoints, inherited and never used."""

DEAD_KEYS = frozenset({"decode_head.conv_seg.weight", "decode_head.conv_seg.bias"})

_EMA = re.compile(r"(^|_)ema(_|$)|averaged|^swa", re.IGNORECASE)
_NO_WEIGHTS = re.compile(r"optim|sched|scaler|^amp$|^loops$|^callbacks$|^hyper_parameters$")
_DEEPEST = 3
_LISTED = 4
"""Keys named in a message before it says how many more there are."""


def summarize_names(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def unwrap(path: Path, content: Any, *, ema: bool) -> tuple[str, Mapping[str, Any], CheckpointMeta]:
    """The container's name, the entry with the weights, and what the file says of itself.

    Raises:
        UserError: no weights, several sets of them, or no moving average where one is asked for.
    """
    if not isinstance(content, Mapping):
        raise UserError(f"{path.name} holds a {type(content).__name__}, not a state dict")
    container = _container(content)
    plain: Mapping[str, Any] | None = content
    averaged: Mapping[str, Any] | None = None
    meta = CheckpointMeta()
    if container is not None:
        plain, averaged = _entries(path, content, container)
        told = content.get("meta")
        meta = parse_meta(told) if isinstance(told, Mapping) else meta
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
            "mmengine's EMA hook exchanges the two sets before it saves: state_dict usually has "
            "the averaged weights already, and ema_state_dict, which --ema takes, the others"
        )
    elif not ema:
        yield "EMA weights are present; give --ema to use them"


def _container(content: Mapping[str, Any]) -> Container | None:
    """The form of a file; None for a bare state dict."""
    tensors = [str(key) for key, value in content.items() if isinstance(value, Tensor)]
    mappings = any(isinstance(value, Mapping) for value in content.values())
    if any("." in key for key in tensors) or (tensors and not mappings):
        return None
    for container in CONTAINERS:
        if not container.told_by:
            return container if content else None
        if container.told_by == "meta" and not isinstance(content.get("meta"), Mapping):
            continue
        if container.told_by in content and "state_dict" in content:
            return container
    return None


def _entries(
    path: Path, content: Mapping[str, Any], container: Container
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """The weights and their moving average, where they are there.

    Raises:
        UserError: neither, or several that could be the weights.
    """
    found = dict(_mappings(content))
    averaged = {name: state for name, state in found.items() if _is_ema(name)}
    plain = {name: state for name, state in found.items() if name not in averaged}
    given = content.get("state_dict", {})
    if "state_dict" in container.weights and not isinstance(given, Mapping):
        raise UserError(f"{path.name}: its state_dict is a {type(given).__name__}, not a dict")
    chosen = _choose(path, plain, container.weights)
    if chosen is None and not averaged:
        named = (content.get(key) for key in container.weights)
        chosen = next((value for value in named if isinstance(value, Mapping)), content)
    return chosen, _choose(path, averaged, container.ema)


def _mappings(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every mapping of tensors in the file with the names that lead to it."""
    for key, value in content.items():
        name = f"{prefix}{key}"
        if not isinstance(value, Mapping) or _NO_WEIGHTS.search(str(key)):
            continue
        if any(isinstance(entry, Tensor) for entry in value.values()):
            yield name, value
        elif name.count(".") + 1 < _DEEPEST:
            yield from _mappings(value, f"{name}.")


def _is_ema(name: str) -> bool:
    return any(_EMA.search(part) for part in name.split("."))


def _choose(
    path: Path, found: Mapping[str, Mapping[str, Any]], wanted: tuple[str, ...]
) -> Mapping[str, Any] | None:
    """The one of several mappings that is meant.

    Raises:
        UserError: that cannot be told.
    """
    likely = {n: s for n, s in found.items() if any("backbone." in str(key) for key in s)} or found
    for key in wanted:
        for name, state in likely.items():
            if name.split(".")[0] == key:
                return state
    if len(likely) > 1:
        raise UserError(
            f"{path.name} holds several sets of weights ({summarize_names(sorted(likely))}): "
            "save the one that is meant by itself"
        )
    return next(iter(likely.values()), None)


def _is_ema_key(key: str) -> bool:
    return "." in key and bool(_EMA.search(key.split(".")[0]))


def _split_ema(
    state: Mapping[str, Any],
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """Weights, and averaged ones that stand among them under a prefix, as in Lightning modules."""
    averaged = {key: value for key, value in state.items() if _is_ema_key(str(key))}
    plain = {key: value for key, value in state.items() if key not in averaged}
    both = all(any("backbone." in str(key) for key in part) for part in (averaged, plain))
    return (plain, averaged) if both else (state, None)


def clean(path: Path, state: Mapping[str, Any]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Float32 tensors under the model's own names, and notes on what was set aside.

    Raises:
        UserError: nothing in it, entries that are no tensors, or weights that are not finite.
    """
    wrong = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
    if wrong or not state:
        found = f"entries that are no tensors: {summarize_names(wrong)}" if wrong else "no tensors"
        raise UserError(f"{path.name} is not a model checkpoint: it holds {found}")
    names, aside = _bare_names(path, [str(key) for key in state])
    cleaned: dict[str, Tensor] = {}
    for key, value in state.items():
        name = names.get(str(key))
        if name is None:
            continue
        if not _plain(value):
            raise UserError(f"{path.name}: {name} is not a plain tensor of real numbers")
        value = value.detach()
        if value.is_floating_point():
            value = value.float()
            if not torch.isfinite(value).all():
                raise UserError(f"{path.name}: {name} holds NaN or infinite weights")
        cleaned[name] = value
    notes = [f"set aside: {what} ({summarize_names(keys)})" for what, keys in aside.items() if what]
    if counters := _missing_counters(cleaned):
        cleaned |= dict.fromkeys(counters, torch.zeros((), dtype=torch.int64))
        notes.append(f"no batch counters ({summarize_names(counters)}); nothing here needs them")
    return cleaned, tuple(notes)


def _bare_names(path: Path, keys: list[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Each key's name in the model, and the keys that are set aside by what they are.

    Raises:
        UserError: two keys are the same weight.
    """
    names = {key: _without_wrappers(key) for key in keys}
    aside: dict[str, list[str]] = {}
    while True:
        for key, name in list(names.items()):
            if (what := _leftover(name)) is not None:
                aside.setdefault(what, []).append(key)
                del names[key]
        first = {name.partition(".")[0] for name in names.values()}
        deeper = any(".backbone.0.0." in name for name in names.values())
        known = any(name.startswith("backbone.0.0.") for name in names.values())
        if len(first) != 1 or known or not deeper:
            break
        names = {key: name.partition(".")[2] for key, name in names.items()}
    if len(set(names.values())) < len(names):
        twice = [name for name in names.values() if list(names.values()).count(name) > 1]
        raise UserError(f"{path.name} holds {twice[0]} twice, under different prefixes")
    return names, aside


def _without_wrappers(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in WRAPPERS)


def _leftover(name: str) -> str | None:
    return next((known.what for known in LEFTOVERS if re.fullmatch(known.pattern, name)), None)


def _missing_counters(state: Mapping[str, Tensor]) -> list[str]:
    """Batch counters that BatchNorm layers should have, and some tools leave out."""
    norms = [key.removesuffix("running_mean") for key in state if key.endswith(".running_mean")]
    return [
        f"{norm}num_batches_tracked" for norm in norms if f"{norm}num_batches_tracked" not in state
    ]


def _plain(tensor: Tensor) -> bool:
    """Dense real numbers on the CPU, one in the file for each in the shape.

    Without the last, a file of a few bytes holds a tensor of terabytes: one number, of stride 0.
    """
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        return False
    if tensor.is_quantized or tensor.is_complex():
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
