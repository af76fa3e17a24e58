"""Reads the weights and the metadata of a checkpoint file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from lvt.checkpoint.containers import unwrap
from lvt.checkpoint.meta import CheckpointMeta, parse_meta
from lvt.checkpoint.normalize import normalize_state_dict
from lvt.checkpoint.pickles import load_pickle
from lvt.errors import UserError
from lvt.models import ModelSpec
from lvt.support.files import file_sha256
from lvt.support.validation import parse_json

SAFETENSORS_KEY = "lvt"
"""Key of the model's description in the header of our safetensors files."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights and metadata of a file.

    Attributes:
        path: the file.
        sha256: hash of the file.
        container: name of the container.
        state_dict: float32 tensors with the model's own key names.
        meta: names, colours, input size and normalisation.
        spec: the model, if the file describes it, as our own format does.
    """

    path: Path
    sha256: str
    container: str
    state_dict: dict[str, Tensor]
    meta: CheckpointMeta = field(default_factory=CheckpointMeta)
    spec: ModelSpec | None = None


def read_checkpoint(path: Path, *, ema: bool = False) -> Checkpoint:
    """Reads a checkpoint file of any known container.

    Args:
        path: the file.
        ema: take the exponential moving average of the weights.

    Raises:
        UserError: there is no such file, or it is not a checkpoint, damaged, or needs code to read.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}" + (" (a folder)" if path.is_dir() else ""))
    if _is_safetensors(path):
        if ema:
            raise UserError(f"{path.name} holds one set of weights; leave out --ema")
        return _read_safetensors(path)
    container, weights, meta = unwrap(path, load_pickle(path), ema=ema)
    state, notes = normalize_state_dict(path, weights)
    meta = replace(meta, notes=(*meta.notes, *notes))
    return Checkpoint(path, file_sha256(path), container, state, meta)


def _is_safetensors(path: Path) -> bool:
    """Whether the file begins as safetensors files do: length of the JSON header, then a brace."""
    with path.open("rb") as stream:
        head = stream.read(9)
    return path.suffix == ".safetensors" or (
        len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < 1 << 27
    )


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as archive:
            header = archive.metadata() or {}
            state = {key: archive.get_tensor(key) for key in archive.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors and torch raise unrelated exceptions
        raise UserError(f"{path.name} is damaged or not a safetensors file: {error}") from error
    spec, meta = None, CheckpointMeta()
    if SAFETENSORS_KEY in header:
        try:
            description = parse_json(header[SAFETENSORS_KEY])
            spec = ModelSpec.from_dict(description["model"])
            meta = parse_meta(description.get("meta", {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path.name}: its description is damaged: {error!r}") from error
    state, notes = normalize_state_dict(path, state)
    meta = replace(meta, notes=(*meta.notes, *notes))
    return Checkpoint(path, file_sha256(path), "safetensors", state, meta, spec)
