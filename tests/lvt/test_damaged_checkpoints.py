"""Whatever a checkpoint file holds: a model, or one line that refuses it; nothing runs, nothing
is allocated that the file does not hold."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lvt.checkpoint import (
    SAFETENSORS_KEY,
    Checkpoint,
    identify,
    load_model,
    read_checkpoint,
    write_checkpoint,
)
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random
from lvt.panoptic.config import PanopticConfig
from lvt.training.loop import STATE_SCHEMA, read_state
from tests.conftest import TINY
from tests.helpers.fuzz import damaged_bytes, damaged_json, fuzzing, reads_or_refuses

SPEC = ModelSpec("backbone", TINY)
PANOPTIC = ModelSpec.for_panoptic(
    TINY, PanopticConfig(things=2, stuff=1, channels=8, semantic_channels=4, semantic_groups=2)
)


def load(path: Path) -> None:
    checkpoint = read_checkpoint(path)
    load_model(checkpoint, identify(checkpoint))


def whole_file(form: str, folder: Path) -> bytes:
    path = folder / "whole"
    model = build_random(SPEC)
    if form == "safetensors":
        write_checkpoint(path, model, SPEC)
    else:
        few = OrderedDict(list(model.state_dict().items())[:3])
        content = {"state_dict": few, "meta": {"CLASSES": ["a"], "PALETTE": [[1, 2, 3]]}}
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_damaged_bytes(form: str, tmp_path: Path) -> None:
    whole = whole_file(form, tmp_path)
    path = tmp_path / "ü x.pth"

    @fuzzing
    @given(damaged_bytes(whole, head=2000))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        reads_or_refuses(lambda: load(path))

    check()


class Payload:
    """Unpickling it would make a folder."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.filterwarnings("ignore")
def test_damaged_pickles_never_run_what_they_hold(tmp_path: Path) -> None:
    """A changed byte must not open a way past the refusal."""
    target, path = tmp_path / "owned", tmp_path / "evil.pth"
    torch.save({"state_dict": {"a": Payload(target)}}, path)
    packed = path.read_bytes()
    bare = pickle.dumps({"a": Payload(target)}, protocol=2)

    @fuzzing
    @given(st.sampled_from([packed, bare]).flatmap(damaged_bytes))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        assert not reads_or_refuses(lambda: load(path))
        assert not target.exists()

    check()


@pytest.mark.parametrize("spec", [SPEC, PANOPTIC], ids=["backbone", "panoptic"])
def test_damaged_descriptions(spec: ModelSpec, tmp_path: Path) -> None:
    """The description decides what is built: 10**9 layers must be refused, not begun."""
    from safetensors.torch import save_file

    path = tmp_path / "own.safetensors"
    state = {"backbone.0.0.proj.weight": torch.zeros(1)}
    meta = {"CLASSES": ["a"], "PALETTE": [[1, 2, 3]], "input_size": [64, 64], "std": [1, 1, 1]}

    @fuzzing
    @given(damaged_json({"model": spec.to_dict(), "meta": meta}))
    def check(description: Any) -> None:
        save_file(state, path, {SAFETENSORS_KEY: json.dumps(description)})
        assert not reads_or_refuses(lambda: load(path))

    check()


def test_damaged_metadata_is_ignored(tmp_path: Path) -> None:
    meta = {
        "PALETTE": [[float("inf")] * 3],
        "input_size": [10**12, 64],
        "mean": [float("nan")] * 3,
        "std": [1.0, 0.0, 1.0],
    }
    path = tmp_path / "a.pth"
    torch.save({"meta": meta, "state_dict": {"a": torch.zeros(1)}}, path)
    read = read_checkpoint(path).meta
    assert (read.palette, read.input_size, read.mean, read.std) == (None,) * 4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(1).expand(10**7, 10**7), "not a plain tensor"),
        (torch.zeros(2, 2).to_sparse(), "not a plain tensor"),
        (torch.zeros(2, dtype=torch.complex64), "not a plain tensor"),
        (torch.zeros(2, device="meta"), "not a plain tensor"),
        (torch.full((2,), 1e300, dtype=torch.float64), "NaN or infinite"),
        (torch.tensor([float("-inf")]).half(), "NaN or infinite"),
    ],
    ids=["400 TB", "sparse", "complex", "meta", "beyond float32", "half infinity"],
)
def test_unusable_tensors_are_an_error(tensor: torch.Tensor, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"weight": tensor}, path)
    with pytest.raises(UserError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize("read", [read_checkpoint, read_state])
def test_zip_bomb(read: Callable[[Path], Any], tmp_path: Path) -> None:
    """A compressed archive of zeros must be refused before it is unpacked."""
    plain, bomb = tmp_path / "plain.pth", tmp_path / "bomb.pth"
    torch.save({"schema": STATE_SCHEMA, "state_dict": {"weight": torch.zeros(1 << 20)}}, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert bomb.stat().st_size < 20_000
    with pytest.raises(UserError, match="would unpack to"):
        read(bomb)
    read(plain)


def test_a_width_without_weights_behind_it_is_refused(tmp_path: Path) -> None:
    """A shape of (10**9, 0) costs no byte; the model built to fit it would cost gigabytes."""
    state = dict(build_random(SPEC).state_dict())
    state |= {"decode_head.linear_pred.bias": torch.zeros(1 << 40, 0)}
    state |= {"decode_head.linear_fuse.conv.weight": torch.zeros(1 << 40, 0)}
    checkpoint = Checkpoint(tmp_path / "a.pth", "", "timm", state)
    with pytest.raises(UserError, match="incomplete"):
        identify(checkpoint)


def test_a_model_larger_than_its_file_is_not_allocated(tmp_path: Path) -> None:
    """Its shapes are compared before memory is taken: 2 TB here."""
    from dataclasses import replace

    wide = replace(TINY, stages=tuple(replace(s, dim=8192, mlp_hidden=1 << 15, layers=200)
                                      for s in TINY.stages))  # fmt: skip
    checkpoint = Checkpoint(tmp_path / "a.pth", "", "safetensors", {"a": torch.zeros(1)})
    with pytest.raises(UserError, match="does not fit"):
        load_model(checkpoint, ModelSpec("backbone", wide))


def test_links_and_special_files(tmp_path: Path) -> None:
    real, link, loop = tmp_path / "real.pth", tmp_path / "link.pth", tmp_path / "loop.pth"
    torch.save({"a": torch.zeros(1)}, real)
    link.symlink_to(real)
    loop.symlink_to(loop)
    pipe = tmp_path / "pipe.pth"
    os.mkfifo(pipe)  # opening it would wait for ever
    assert read_checkpoint(link).state_dict.keys() == {"a"}
    for path in (loop, pipe, Path("/dev/zero")):
        with pytest.raises(UserError, match="no checkpoint at"):
            read_checkpoint(path)
