"""Containers of training tools: every one gives the same weights, loaded strictly."""

from __future__ import annotations

import gzip
import sys
import tarfile
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lvt.checkpoint import identify, load_model, read_checkpoint
from lvt.checkpoint.containers import CONTAINERS
from lvt.checkpoint.normalize import LEFTOVERS
from lvt.config import LVT
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random

SPEC = ModelSpec("semantic", LVT, 3, decoder_dim=24)
NAMES, COLOURS = ("a", "b [x]", "c"), ((1, 2, 3), (4, 5, 6), (7, 8, 9))
MEAN, STD = (120.0, 110.0, 100.0), (50.0, 51.0, 52.0)
CFG = """
data_preprocessor = dict(
    mean=[120.0, 110.0, 100.0], std=[50.0, 51.0, 52.0], bgr_to_rgb=True, type='SegDataPreProcessor')
model = dict(data_preprocessor=dict(mean=[120.0, 110.0, 100.0], std=[50.0, 51.0, 52.0]))
"""

State = dict[str, Tensor]
MODEL = build_random(SPEC)


def state() -> State:
    return dict(MODEL.state_dict())


def under(prefix: str, given: State | None = None) -> State:
    return {prefix + key: value for key, value in (given or state()).items()}


def ema() -> State:
    return floats(lambda value: value + 1)


META = {"CLASSES": NAMES, "PALETTE": [list(colour) for colour in COLOURS]}
DATASET_META = {"dataset_meta": {"classes": NAMES, "palette": np.array(COLOURS)}, "cfg": CFG}
ENGINE = {"meta": {**DATASET_META, "mmengine_version": "0.10.3"}, "message_hub": {}}
BACKBONE = "backbone.backbone."

LIGHTNING = {"pytorch-lightning_version": "2.4.0", "loops": {}}
OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}
ONE = torch.zeros(1)


def floats(change: Callable[[Tensor], Tensor]) -> State:
    return {k: change(v) if v.is_floating_point() else v for k, v in state().items()}


def compiled_inside() -> State:
    return {k.replace(BACKBONE, "backbone._orig_mod.backbone."): v for k, v in state().items()}


def in_mmcv(*extra: str) -> dict[str, Any]:
    return {"meta": META, "state_dict": {**state(), **dict.fromkeys(extra, ONE)}}


CONTENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "bare": state,
    "compiled": lambda: {"state_dict": under("_orig_mod."), "meta": META},
    "DDP over compiled": lambda: {"state_dict": under("module._orig_mod."), "meta": META},
    "compiled over DDP": lambda: under("_orig_mod.module."),
    "compiled inside": compiled_inside,
    "FSDP": lambda: under("_fsdp_wrapped_module.", under("_checkpoint_wrapped_module.")),
    "Lightning": lambda: {
        **LIGHTNING,
        "state_dict": under("model."),
        "optimizer_states": [OPTIMIZER],
    },
    "Lightning with a loss": lambda: {
        **LIGHTNING,
        "state_dict": {**under("model.net."), "criterion.weight": ONE},
    },
    "training loop": lambda: {"model_state_dict": state(), "optimizer_state_dict": OPTIMIZER},
    "training loop with a tensor": lambda: {"model": state(), "best": torch.tensor(0.5)},
    "any name": lambda: {"segmenter_v2": under("module."), "epoch": 5},
    "two levels down": lambda: {"checkpoint": {"model": state(), "step": 3}},
    "discriminator beside": lambda: {"model": state(), "discriminator": {"conv.weight": ONE}},
    "averaged by PyTorch": lambda: {"n_averaged": torch.tensor(5), **under("module.")},
    "mmengine": lambda: {**ENGINE, "state_dict": state()},
    "counted by thop": lambda: in_mmcv("total_ops", "backbone.total_params"),
    "counted and compiled": lambda: {
        "total_ops": ONE,
        **under("_orig_mod."),
        "_orig_mod.total_params": ONE,
    },
    "auxiliary head": lambda: in_mmcv("auxiliary_head.conv_seg.weight"),
    "no batch counters": lambda: {k: v for k, v in state().items() if "batches" not in k},
    "parameters": lambda: floats(torch.nn.Parameter),
}


def save(content: Any, folder: Path, name: str = "c.pth") -> Path:
    path = folder / name
    torch.save(content, path)
    return path


def assert_loads(path: Path, expected: State, *, averaged: bool = False) -> tuple[str, ...]:
    checkpoint = read_checkpoint(path, ema=averaged)
    assert identify(checkpoint) == SPEC
    loaded = load_model(checkpoint, SPEC).state_dict()
    for key, value in expected.items():
        assert torch.equal(loaded[key], value), key
    return checkpoint.meta.notes


@pytest.mark.parametrize("name", CONTENTS)
def test_every_container_gives_the_same_weights(name: str, tmp_path: Path) -> None:
    notes = " ".join(assert_loads(save(CONTENTS[name](), tmp_path), state()))
    told = {
        "Lightning with a loss": "losses and metrics of training (criterion.weight)",
        "averaged by PyTorch": "n_averaged",
        "counted by thop": "thop's counters (total_ops, backbone.total_params)",
        "counted and compiled": "total_ops, _orig_mod.total_params",
        "auxiliary head": "auxiliary_head.conv_seg.weight",
        "no batch counters": "decode_head.linear_fuse.bn.num_batches_tracked",
    }
    assert told.get(name, "") in notes
    assert bool(notes) == (name in told)


EMA_CONTENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "timm": lambda: {"state_dict": state(), "state_dict_ema": under("module.", ema())},
    "mmengine": lambda: {
        **ENGINE,
        "state_dict": state(),
        "ema_state_dict": {**under("module.", ema()), "steps": torch.tensor(5)},
    },
    "training loop": lambda: {"model": state(), "model_ema": ema()},
    "nested": lambda: {"model": state(), "ema": {"module": ema(), "decay": 0.99}},
    "any name": lambda: {"network": state(), "averaged_network": ema()},
    "Lightning": lambda: {
        **LIGHTNING,
        "state_dict": {**under("model."), **under("model_ema.module.", ema())},
    },
    "among the others": lambda: {**under("model."), **under("ema_model.", ema())},
}


@pytest.mark.parametrize("name", EMA_CONTENTS)
def test_averaged_weights_are_found_in_every_container(name: str, tmp_path: Path) -> None:
    path = save(EMA_CONTENTS[name](), tmp_path)
    assert "--ema" in " ".join(assert_loads(path, state()))
    assert_loads(path, ema(), averaged=True)


@pytest.mark.parametrize("name", CONTENTS)
def test_ema_without_averaged_weights_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no EMA weights"):
        read_checkpoint(save(CONTENTS[name](), tmp_path), ema=True)


@pytest.mark.parametrize("meta", [META, DATASET_META])
def test_names_and_colours_of_both_generations(meta: dict[str, Any], tmp_path: Path) -> None:
    result = read_checkpoint(save({"meta": meta, "state_dict": state()}, tmp_path)).meta
    assert (result.class_names, result.palette) == (NAMES, COLOURS)


def test_normalisation_out_of_the_configurations_text(tmp_path: Path) -> None:
    result = read_checkpoint(save({**ENGINE, "state_dict": state()}, tmp_path)).meta
    assert (result.mean, result.std, result.notes) == (MEAN, STD, ())
    old = {
        **META,
        "config": "img_norm_cfg = dict(\n    mean=[1, 2, 3], std=[4, 5, 6], to_rgb=True)",
    }
    result = read_checkpoint(save({"meta": old, "state_dict": state()}, tmp_path)).meta
    assert (result.mean, result.std) == ((1, 2, 3), (4, 5, 6))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (CFG.replace("bgr_to_rgb=True", "bgr_to_rgb=False"), "trained on BGR"),
        (CFG + "other = dict(mean=[1, 2, 3], std=[1, 1, 1])", "several normalisations"),
    ],
)
def test_notes_on_unusual_normalisations(text: str, note: str, tmp_path: Path) -> None:
    meta = {**META, "cfg": text}
    result = read_checkpoint(save({"meta": meta, "state_dict": state()}, tmp_path)).meta
    assert note in result.notes[0]


class HistoryBuffer:
    """As mmengine pickles it: arrays, and its own methods by name."""

    def __init__(self) -> None:
        self._log_history = np.array([1.0, 2.0])
        self._count_history = np.array([1, 1])
        self._statistics_methods = {"mean": HistoryBuffer.mean}

    def mean(self) -> float:
        return float(self._log_history.mean())


def test_log_objects_of_mmengine_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "work_folder.pth"
    name = "mmengine.logging.history_buffer"
    with monkeypatch.context() as patch:
        for module in ("mmengine", "mmengine.logging", name):
            patch.setitem(sys.modules, module, types.ModuleType(module))
        for made in (HistoryBuffer, HistoryBuffer.mean):
            patch.setattr(made, "__module__", name)
        patch.setattr(sys.modules[name], "HistoryBuffer", HistoryBuffer, raising=False)
        hub = {"log_scalars": OrderedDict({"train/loss": HistoryBuffer()})}
        torch.save({**ENGINE, "message_hub": hub, "state_dict": state()}, path)
    assert name not in sys.modules
    assert_loads(path, state())


def test_weights_that_are_not_known_are_refused(tmp_path: Path) -> None:
    path = save({**state(), "decode_head.extra.weight": torch.ones(2)}, tmp_path)
    with pytest.raises(UserError, match=r"unexpected: decode_head\.extra\.weight"):
        load_model(read_checkpoint(path), SPEC)


def test_two_models_in_one_file_are_an_error(tmp_path: Path) -> None:
    path = save({"student": state(), "teacher": state()}, tmp_path)
    with pytest.raises(UserError, match=r"several sets of weights \(student, teacher\)"):
        read_checkpoint(path)


def test_one_weight_under_two_prefixes_is_refused(tmp_path: Path) -> None:
    path = save({**state(), **under("module.")}, tmp_path)
    with pytest.raises(UserError, match="twice, under different prefixes"):
        read_checkpoint(path)


def _archives(folder: Path) -> dict[str, Path]:
    inner = save(state(), folder, "lvt.pth")
    with zipfile.ZipFile(folder / "a.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(inner, "release/lvt.pth")
    with tarfile.open(folder / "b.pth.tar", "w") as tar:
        tar.add(inner, "lvt.pth")
    (folder / "c.pth").write_bytes(gzip.compress(inner.read_bytes()[:10_000]))
    (folder / "d.pth").write_text("version https://git-lfs.example/spec/v1\noid sha256:0\n")
    (folder / "e.pth").write_text("\n<!DOCTYPE html><html><body>Sign in</body></html>")
    (folder / "f.pth").write_bytes(b"")
    (folder / "g.pth").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    return {path.name[0]: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a", "a zip archive: unpack it and give release/lvt.pth inside it"),
        ("b", "a tar archive: unpack it and give lvt.pth inside it"),
        ("c", "packed with gzip: unpack it"),
        ("d", "a Git LFS pointer, not the file: fetch it with git lfs pull"),
        ("e", "a web page, saved in place of the checkpoint"),
        ("f", "an empty file"),
        ("g", "a 7z archive: unpack it"),
    ],
)
def test_other_formats_are_named(name: str, message: str, tmp_path: Path) -> None:
    path = _archives(tmp_path)[name]
    with pytest.raises(UserError, match=rf"^{path.name} is {message}"):
        read_checkpoint(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_pth_tar_is_read_as_a_checkpoint(legacy: bool, tmp_path: Path) -> None:
    path = tmp_path / "lvt.pth.tar"
    torch.save({"state_dict": state()}, path, _use_new_zipfile_serialization=not legacy)
    assert_loads(path, state())


def test_the_tables_have_no_entry_twice() -> None:
    assert len({container.name for container in CONTAINERS}) == len(CONTAINERS)
    assert len({known.pattern for known in LEFTOVERS}) == len(LEFTOVERS)
