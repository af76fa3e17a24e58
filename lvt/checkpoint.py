"""Reads every container an LVT checkpoint comes in, and writes our own; executes nothing from it.

Containers: timm's `.pth.tar`, a bare dict of backbone tensors, mmcv's `.pth` with `meta`, and
safetensors with a JSON description. What a file holds is told from its keys and shapes.
"""

from __future__ import annotations

import argparse
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lvt.backbone import LVT
from lvt.checks import is_text, parse_json
from lvt.config import PRESETS, LVTConfig, Task, preset
from lvt.errors import UserError
from lvt.files import atomic_folder, file_sha256, publish
from lvt.models import ModelSpec, build
from lvt.panoptic.config import PanopticConfig

SAFETENSORS_KEY = "lvt"
DEAD_KEYS = frozenset({"decode_head.conv_seg.weight", "decode_head.conv_seg.bias"})
"""In official segmentation checkpoints, inherited from a base class and never used."""

_PLAIN_CLASSES = [
    argparse.Namespace,  # timm keeps its command line
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
    # NumPy scalars, such as a metric; the function only builds a scalar from bytes.
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
]
_LARGEST = 1 << 14
"""Of input sizes, means and deviations that are believed."""
_LISTED = 4
"""Keys named in an error before it says how many more there are."""


@dataclass(frozen=True)
class CheckpointMeta:
    """What a checkpoint says of itself beside the weights; None or empty where it says nothing."""

    class_names: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    input_size: tuple[int, int] | None = None
    """Height and width the model was trained for."""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """A file's weights, ready to load: float32, prefixes stripped, dead keys dropped."""

    path: Path
    sha256: str
    container: str
    state_dict: dict[str, Tensor]
    meta: CheckpointMeta = field(default_factory=CheckpointMeta)
    spec: ModelSpec | None = None
    """The model, where the file names it (our own format does)."""


def read_checkpoint(path: Path, *, ema: bool = False) -> Checkpoint:
    """Reads a checkpoint file of any known container.

    Args:
        path: the file.
        ema: take the exponential moving average of the weights (timm's `state_dict_ema`).

    Raises:
        UserError: no such file, not a checkpoint, damaged, or holding anything but plain data.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}" + (" (a folder)" if path.is_dir() else ""))
    if _is_safetensors(path):
        if ema:
            raise UserError(f"{path.name} holds one set of weights; leave out --ema")
        return _read_safetensors(path)
    content = _load_pickle(path)
    container, state, meta = _unwrap(path, content, ema)
    return Checkpoint(path, file_sha256(path), container, _clean(path, state), meta)


def _is_safetensors(path: Path) -> bool:
    """By content: a safetensors file begins with the length of its JSON header, then a brace."""
    with path.open("rb") as stream:
        head = stream.read(9)
    return path.suffix == ".safetensors" or (
        len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < 1 << 27
    )


def _load_pickle(path: Path) -> Any:
    refuse_bomb(path)
    try:
        with torch.serialization.safe_globals(_PLAIN_CLASSES):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever a damaged byte stream leads to
        text = str(error)
        blocked = re.search(r"(?:Unsupported global|GLOBAL) ?:?\s*(?:GLOBAL )?(\S+)", text)
        if "Weights only load failed" in text and blocked:
            raise UserError(
                f"{path.name} wants to run {blocked[1]} while it is read; refused. "
                "Save only tensors and plain values (torch.save(model.state_dict(), ...))"
            ) from error
        kind = "damaged or cut short" if zipfile.is_zipfile(path) or _has_zip_head(path) else None
        raise UserError(
            f"{path.name} is {kind or 'not a PyTorch or safetensors checkpoint'}"
        ) from error


def refuse_bomb(path: Path) -> None:
    """torch.save packs without compressing; whatever unpacks to more than the file is made to harm.

    Raises:
        UserError: this one does.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except Exception:  # no zip file, or a damaged one: torch.load says it better
        return
    if unpacked > path.stat().st_size:
        raise UserError(
            f"{path.name} would unpack to {unpacked} bytes, more than the file has; refused. "
            "Save it with torch.save"
        )


def _has_zip_head(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"


def _unwrap(path: Path, content: Any, ema: bool) -> tuple[str, Mapping[str, Any], CheckpointMeta]:
    if not isinstance(content, Mapping):
        raise UserError(f"{path.name} holds a {type(content).__name__}, not a state dict")
    if ema and "state_dict_ema" not in content:
        raise UserError(f"{path.name} has no EMA weights; leave out --ema")
    if "state_dict" not in content:
        return "state dict", content, CheckpointMeta()
    state = content["state_dict_ema" if ema else "state_dict"]
    if not isinstance(state, Mapping):
        raise UserError(f"{path.name}: its state_dict is a {type(state).__name__}, not a dict")
    if isinstance(content.get("meta"), Mapping):
        return "mmcv", state, _mmcv_meta(content["meta"])
    notes = ("EMA weights are present; give --ema to use them",)
    unused_ema = "state_dict_ema" in content and not ema
    return "timm", state, CheckpointMeta(notes=notes if unused_ema else ())


def _mmcv_meta(meta: Mapping[str, Any]) -> CheckpointMeta:
    """Class names, palette and input settings, each only if it has the form it should have."""

    def numbers(key: str, count: int) -> tuple[float, ...] | None:
        value = meta.get(key)
        if not isinstance(value, (list, tuple)) or len(value) != count:
            return None
        plain = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
        # Also not NaN, and no integer beyond all floating-point numbers.
        if not plain or not all(-_LARGEST <= v <= _LARGEST for v in value):
            return None
        return tuple(float(v) for v in value)

    names = meta.get("CLASSES")
    palette = meta.get("PALETTE")
    if not (isinstance(names, (list, tuple)) and all(map(is_text, names))):
        names = None
    try:
        colours = [tuple(int(v) for v in colour) for colour in palette or ()]
    except (TypeError, ValueError, OverflowError):
        colours = []
    valid = bool(colours) and all(len(c) == 3 and all(0 <= v < 256 for v in c) for c in colours)
    size, std = numbers("input_size", 2), numbers("std", 3)
    return CheckpointMeta(
        class_names=tuple(str(n).strip() for n in names) if names else None,
        palette=tuple((c[0], c[1], c[2]) for c in colours) if valid else None,
        input_size=(int(size[0]), int(size[1])) if size and min(size) >= 1 else None,
        mean=numbers("mean", 3),
        std=std if std and min(std) > 0 else None,
    )


def _clean(path: Path, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Float32 tensors under bare names.

    Raises:
        UserError: nothing in it, entries that are no tensors, or weights that are not finite.
    """
    wrong = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
    if wrong or not state:
        found = f"entries that are no tensors: {_some(wrong)}" if wrong else "no tensors"
        raise UserError(f"{path.name} is not a model checkpoint: it holds {found}")
    clean: dict[str, Tensor] = {}
    for key, value in state.items():
        name = str(key).removeprefix("module.")
        if name in DEAD_KEYS:
            continue
        if not _plain(value):
            raise UserError(f"{path.name}: {name} is not a plain tensor of real numbers")
        if value.is_floating_point():
            value = value.float()
            if not torch.isfinite(value).all():
                raise UserError(f"{path.name}: {name} holds NaN or infinite weights")
        clean[name] = value
    return clean


def _plain(tensor: Tensor) -> bool:
    """Dense real numbers on the CPU, one in the file for each in the shape.

    Without the last, a file of a few bytes holds a tensor of terabytes: one number, of stride 0.
    """
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        return False
    if tensor.is_quantized or tensor.is_complex():
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def identify(
    checkpoint: Checkpoint, *, task: Task | None = None, preset_name: str | None = None
) -> ModelSpec:
    """The model a checkpoint's keys and shapes belong to.

    Args:
        checkpoint: what was read.
        task: what the user expects; None to take what the keys say.
        preset_name: the preset to assume, for shapes do not tell the recursion depth; of a file
            that describes its model, only that depth is changed. None for the first preset whose
            keys and shapes come nearest.

    Raises:
        UserError: the keys belong to another task than `task`, or to no LVT model; or the file
            describes a model without recursion, and the preset is to change it.
    """
    config = preset(preset_name) if preset_name else None
    spec = checkpoint.spec
    if spec is None:
        state = checkpoint.state_dict
        spec = _spec_from_keys(checkpoint.path, state, config or _nearest_preset(state))
    elif config is not None:
        if not (spec.config.recursive and config.recursive):
            raise UserError(
                f"{checkpoint.path.name} says itself which model it is, and --preset "
                f"{preset_name} could only change the depth of its recursion: leave it out"
            )
        spec = spec.with_recursion(config.recursion)
    if task is not None and spec.task != task:
        raise UserError(
            f"{checkpoint.path.name} is a {spec.task} checkpoint, not {task}: "
            f"ask for {spec.task} or give another file"
        )
    return spec


def _nearest_preset(state: Mapping[str, Tensor]) -> LVTConfig:
    """The preset whose backbone differs in the fewest keys, then shapes; the first of equals.

    Nearest instead of equal: of a damaged file, the right preset's error names what is wrong.
    """
    nested = any(key.startswith("backbone.backbone.") for key in state)
    given = {
        key.removeprefix("backbone.") if nested else key: value.shape
        for key, value in state.items()
        if key.startswith("backbone.")
    }

    def differences(config: LVTConfig) -> tuple[int, int]:
        expected = _backbone_shapes(config)
        shared = given.keys() & expected.keys()
        return len(given.keys() ^ expected), sum(given[key] != expected[key] for key in shared)

    return min(PRESETS.values(), key=differences)


@cache
def _backbone_shapes(config: LVTConfig) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {key: value.shape for key, value in LVT(config).state_dict().items()}


def _spec_from_keys(path: Path, state: Mapping[str, Tensor], config: LVTConfig) -> ModelSpec:
    def rows(key: str) -> int:
        if key not in state or not state[key].numel() or state[key].ndim == 0:
            raise UserError(f"{path.name} is incomplete: {key} is missing")
        return state[key].shape[0]

    if any(key.startswith("roi_head.") for key in state):
        return ModelSpec.for_panoptic(config, _panoptic_config(rows))
    if any(key.startswith("decode_head.") for key in state):
        width = rows("decode_head.linear_pred.bias")
        decoder = rows("decode_head.linear_fuse.conv.weight")
        return ModelSpec("semantic", config, width, decoder_dim=decoder)
    if not any(key.startswith("backbone.0.0.") for key in state):
        raise UserError(
            f"{path.name} is no LVT checkpoint: it has no backbone.0.0.* weights, but "
            f"{_some(sorted(state))}"
        )
    if "cls_token" in state:
        return ModelSpec("classification", config, rows("head.bias"))
    if "head.weight" in state:
        return ModelSpec("classification", config, rows("head.bias"), pooled=True)
    norms = any(key.startswith("downstream_norms.") for key in state)
    return ModelSpec("backbone", config, output_norms=norms)


def _panoptic_config(rows: Callable[[str], int]) -> PanopticConfig:
    """What the shapes tell: class counts and widths. The rest is as in the official model."""
    defaults = PanopticConfig()
    return replace(
        defaults,
        things=rows("roi_head.bbox_head.fc_cls.bias") - 1,
        stuff=rows("semantic_head.conv_logits.bias") - 1,
        channels=rows("neck.lateral_convs.0.conv.bias"),
        semantic_channels=rows("semantic_head.conv_upsample_layers.0.conv.0.conv.weight"),
        roi=replace(defaults.roi, box_channels=rows("roi_head.bbox_head.shared_fcs.0.bias")),
    )


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
        f"{kind}: {_some(keys)}"
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


def _some(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as archive:
            header = archive.metadata() or {}
            state = {key: archive.get_tensor(key) for key in archive.keys()}  # noqa: SIM118
    except Exception as error:  # the binding and torch.frombuffer have no common exception
        raise UserError(f"{path.name} is damaged or not a safetensors file: {error}") from error
    spec, meta = None, CheckpointMeta()
    if SAFETENSORS_KEY in header:
        try:
            description = parse_json(header[SAFETENSORS_KEY])
            spec = ModelSpec.from_dict(description["model"])
            meta = _mmcv_meta(description.get("meta", {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path.name}: its description is damaged: {error!r}") from error
    return Checkpoint(path, file_sha256(path), "safetensors", _clean(path, state), meta, spec)


def write_checkpoint(
    path: Path,
    model: nn.Module,
    spec: ModelSpec,
    meta: CheckpointMeta | None = None,
    *,
    half: bool = False,
) -> None:
    """Writes our own container: safetensors with the model's description in the header.

    Args:
        path: the file to make; it appears whole or not at all.
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
