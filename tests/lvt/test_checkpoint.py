"""Official checkpoints load strictly; other files give one error line and run no code."""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lvt.checkpoint import (
    Checkpoint,
    CheckpointMeta,
    identify,
    load_model,
    read_checkpoint,
    write_checkpoint,
)
from lvt.config import LVT, PRESETS, preset
from lvt.errors import UserError
from lvt.models import ModelSpec, build, build_random
from lvt.panoptic.config import AnchorConfig, PanopticConfig
from tests.conftest import TINY

CLASSIFIER = ModelSpec("classification", LVT, 1000)
SEMANTIC = ModelSpec("semantic", LVT, 11)
BACKBONE = ModelSpec("backbone", LVT)


@pytest.fixture(scope="module")
def classifier() -> nn.Module:
    return build_random(CLASSIFIER)


@pytest.fixture(scope="module")
def segformer() -> nn.Module:
    return build_random(SEMANTIC)


def timm_container(model: nn.Module, **extra: Any) -> dict[str, Any]:
    """What timm 0.4.5 saves from a distributed run."""
    return {
        "epoch": 299,
        "arch": "lvt",
        "state_dict": {f"module.{k}": v for k, v in model.state_dict().items()},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-3}]},
        "version": 2,
        "args": argparse.Namespace(model="lvt", lr=1e-3, img_size=None, mean=[0.1, 0.2]),
        "amp": {"scale": 65536.0},
        "metric": np.float64(74.8),
        **extra,
    }


def same(left: nn.Module, right: nn.Module) -> bool:
    a, b = left.state_dict(), right.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def save(content: Any, path: Path, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_timm_container(classifier: nn.Module, tmp_path: Path, legacy: bool) -> None:
    """Namespace, NumPy metric, optimizer state and `module.` prefixes stand in the way."""
    path = tmp_path / "lvt_imagenet.pth.tar"
    save(timm_container(classifier), path, _use_new_zipfile_serialization=not legacy)
    checkpoint = read_checkpoint(path)
    assert checkpoint.container == "timm"
    assert identify(checkpoint) == CLASSIFIER
    assert same(load_model(checkpoint, CLASSIFIER), classifier)


def test_ema_weights_are_used_only_when_asked_for(classifier: nn.Module, tmp_path: Path) -> None:
    ema = {k: v + 1 for k, v in classifier.state_dict().items()}
    path = save(timm_container(classifier, state_dict_ema=ema), tmp_path / "a.pth.tar")
    plain, averaged = read_checkpoint(path), read_checkpoint(path, ema=True)
    head = classifier.state_dict()["head.bias"]
    assert torch.equal(plain.state_dict["head.bias"], head)
    assert torch.equal(averaged.state_dict["head.bias"], head + 1)
    assert "--ema" in plain.meta.notes[0]
    without = save(timm_container(classifier), tmp_path / "b.pth.tar")
    with pytest.raises(UserError, match="no EMA weights"):
        read_checkpoint(without, ema=True)


def test_bare_backbone(tmp_path: Path) -> None:
    model = build_random(BACKBONE)
    checkpoint = read_checkpoint(save(dict(model.state_dict()), tmp_path / "b.pth.tar"))
    assert identify(checkpoint) == BACKBONE
    assert same(load_model(checkpoint, BACKBONE), model)


def test_mmcv_container(segformer: nn.Module, tmp_path: Path) -> None:
    """The dead conv_seg pair is dropped, names and palette are taken from meta."""
    state: dict[str, Tensor] = dict(segformer.state_dict())
    state["decode_head.conv_seg.weight"] = torch.zeros(11, 128, 1, 1)
    state["decode_head.conv_seg.bias"] = torch.zeros(11)
    meta = {
        "CLASSES": [" truck", *(f"c{i}" for i in range(10))],
        "PALETTE": [[i, 2 * i, 3] for i in range(11)],
        "epoch": 3,
        "config": "text",
    }
    path = save({"meta": meta, "state_dict": state, "optimizer": {}}, tmp_path / "s.pth")
    checkpoint = read_checkpoint(path)
    assert checkpoint.container == "mmcv"
    assert identify(checkpoint) == SEMANTIC
    assert same(load_model(checkpoint, SEMANTIC), segformer)
    assert checkpoint.meta.class_names is not None
    assert checkpoint.meta.class_names[0] == "truck"  # the official list has a leading space
    assert checkpoint.meta.palette is not None
    assert checkpoint.meta.palette[10] == (10, 20, 3)


def test_malformed_meta_is_ignored(segformer: nn.Module, tmp_path: Path) -> None:
    """Decoration must not keep good weights from loading."""
    meta = {"CLASSES": 7, "PALETTE": ["red"], "input_size": "big", "mean": [1]}
    path = save({"meta": meta, "state_dict": segformer.state_dict()}, tmp_path / "s.pth")
    assert read_checkpoint(path).meta == CheckpointMeta()


@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_safetensors_round_trip(tmp_path: Path, half: bool) -> None:
    spec = ModelSpec("semantic", TINY, 3, decoder_dim=24)
    model = build_random(spec)
    meta = CheckpointMeta(("a", "b", "c"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)), (64, 96))
    path = tmp_path / "tiny.safetensors"
    write_checkpoint(path, model, spec, meta, half=half)
    assert list(tmp_path.iterdir()) == [path]  # no scratch left
    checkpoint = read_checkpoint(path)
    assert identify(checkpoint) == spec
    assert checkpoint.meta == meta
    loaded = load_model(checkpoint, spec)
    if half:
        model.half().float()
    assert same(loaded, model)


def test_the_real_checkpoint(camvid_checkpoint: Path) -> None:
    checkpoint = read_checkpoint(camvid_checkpoint)
    assert identify(checkpoint) == SEMANTIC
    assert checkpoint.meta.input_size == (352, 480)
    assert checkpoint.meta.class_names is not None
    assert checkpoint.meta.class_names[3] == "Road"
    load_model(checkpoint, SEMANTIC)


class Payload:
    """Unpickling it would make a folder."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("form", ["torch zip", "torch legacy", "bare pickle"])
def test_nothing_from_a_file_is_executed(tmp_path: Path, form: str) -> None:
    target, path = tmp_path / "owned", tmp_path / "evil.pth"
    content = {"state_dict": {"a": torch.zeros(1)}, "args": Payload(target)}
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "torch zip")
    with pytest.raises(UserError, match=r"evil\.pth") as caught:
        read_checkpoint(path)
    assert not target.exists()
    if form == "torch zip":
        assert "mkdir" in str(caught.value)


def test_truncated_files(classifier: nn.Module, tmp_path: Path) -> None:
    whole = save(timm_container(classifier), tmp_path / "whole.pth").read_bytes()
    for keep in (0, 1, 9, 500, len(whole) // 2, len(whole) - 1):
        path = tmp_path / f"cut{keep}.pth"
        path.write_bytes(whole[:keep])
        with pytest.raises(UserError, match=path.name):
            read_checkpoint(path)


def test_truncated_safetensors(tmp_path: Path) -> None:
    spec = ModelSpec("backbone", TINY)
    path = tmp_path / "tiny.safetensors"
    write_checkpoint(path, build_random(spec), spec)
    whole = path.read_bytes()
    for keep in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(UserError, match=path.name):
            read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a checkpoint at all", "not a PyTorch or safetensors checkpoint"),
        ([1, 2, 3], "holds a list"),
        ({"model": "yes"}, "not tensors: model"),
        ({}, "no tensors"),
        ({"state_dict": [1]}, "its state_dict is a list"),
        ({"weight": torch.tensor([float("nan")])}, "weight holds NaN"),
    ],
    ids=["text", "list", "dict of text", "empty", "state_dict list", "nan"],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "wrong.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(UserError, match=message):
        read_checkpoint(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint at"):
        read_checkpoint(tmp_path / "absent.pth")
    with pytest.raises(UserError, match="a folder"):
        read_checkpoint(tmp_path)


def test_another_task(segformer: nn.Module, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(save(segformer.state_dict(), tmp_path / "s.pth"))
    with pytest.raises(UserError, match="is a semantic checkpoint, not classification"):
        identify(checkpoint, task="classification")


def panoptic(things: int = 80, stuff: int = 53) -> ModelSpec:
    return ModelSpec.for_panoptic(LVT, PanopticConfig(things=things, stuff=stuff))


def test_panoptic_classes_are_told_by_shapes(tmp_path: Path) -> None:
    """The official container of a model trained on other classes than COCO's."""
    model = build_random(panoptic(3, 4))
    content = {"meta": {"CLASSES": list("abcdefg")}, "state_dict": model.state_dict()}
    checkpoint = read_checkpoint(save(content, tmp_path / "panoptic.pth"))
    spec = identify(checkpoint)
    assert spec == panoptic(3, 4)
    assert same(load_model(checkpoint, spec), model)
    assert checkpoint.meta.class_names == tuple("abcdefg")


def test_panoptic_description_survives_our_container(tmp_path: Path) -> None:
    """Thresholds and anchors are in no shape; only the description keeps them."""
    config = PanopticConfig(
        things=2,
        stuff=1,
        channels=16,
        semantic_channels=8,
        semantic_groups=2,
        anchors=AnchorConfig(scale=4.0),
    )
    spec = ModelSpec.for_panoptic(TINY, config)
    model = build_random(spec)
    write_checkpoint(tmp_path / "p.safetensors", model, spec)
    checkpoint = read_checkpoint(tmp_path / "p.safetensors")
    assert identify(checkpoint, task="panoptic") == spec
    assert same(load_model(checkpoint, spec), model)


def test_panoptic_description_must_fit_the_task() -> None:
    with pytest.raises(UserError, match="do not go together"):
        ModelSpec("panoptic", LVT, 133)
    with pytest.raises(UserError, match="do not go together"):
        ModelSpec("semantic", LVT, 133, panoptic=PanopticConfig())
    with pytest.raises(UserError, match="100 classes, but the panoptic model has 133"):
        ModelSpec("panoptic", LVT, 100, panoptic=PanopticConfig())


def test_another_model(tmp_path: Path) -> None:
    state = {"layers.0.conv.weight": torch.zeros(2, 2)}
    checkpoint = read_checkpoint(save(state, tmp_path / "resnet.pth"))
    with pytest.raises(UserError, match=r"no LVT checkpoint.*layers\.0\.conv\.weight"):
        identify(checkpoint)


def test_missing_unexpected_and_misshaped_keys_are_all_named(tmp_path: Path) -> None:
    """Told one at a time, a user would need three runs to learn what a file is."""
    state = dict(build_random(BACKBONE).state_dict())
    del state["backbone.1.0.proj.bias"]
    state["backbone.9.surprise"] = torch.zeros(1)
    state["backbone.2.0.norm.weight"] = torch.zeros(192)
    checkpoint = read_checkpoint(save(state, tmp_path / "odd.pth"))
    with pytest.raises(UserError) as caught:
        load_model(checkpoint, identify(checkpoint))
    text = str(caught.value)
    assert "missing: backbone.1.0.proj.bias" in text
    assert "unexpected: backbone.9.surprise" in text
    assert "backbone.2.0.norm.weight is 192, not 160" in text


def test_other_architecture(tmp_path: Path) -> None:
    """A narrower model under official names must be refused, not half loaded."""
    state = build_random(ModelSpec("backbone", TINY)).state_dict()
    checkpoint = read_checkpoint(save(state, tmp_path / "narrow.pth"))
    with pytest.raises(UserError, match="does not fit the lvt backbone model"):
        load_model(checkpoint, identify(checkpoint))


DISTINCT = [name for name in PRESETS if not name.startswith("lvt_r")]
"""Depths share their weights, so nothing tells them."""


@pytest.mark.parametrize("name", DISTINCT)
def test_keys_and_shapes_tell_the_architecture(name: str) -> None:
    """The official containers do not name it; a missing key must not make it another one."""
    config = preset(name)
    for spec in (ModelSpec("classification", config, 7), ModelSpec("semantic", config, 5)):
        with torch.device("meta"):
            state = build(spec).state_dict()
        assert identify(Checkpoint(Path("c.pth"), "", "timm", state)).config == preset(name)
        state.pop(next(key for key in state if "mlp.fc1.weight" in key))
        assert identify(Checkpoint(Path("c.pth"), "", "timm", state)).config == preset(name)


def test_ablation_checkpoint_loads(tmp_path: Path) -> None:
    spec = ModelSpec("classification", preset("volo_d0_csa_rasa"), 7)
    model = build_random(spec, seed=4)
    checkpoint = read_checkpoint(save(timm_container(model), tmp_path / "v.pth.tar"))
    assert identify(checkpoint) == spec
    assert same(load_model(checkpoint, spec), model)


def test_preset_cannot_change_a_described_model(tmp_path: Path) -> None:
    """Only its recursion depth, where it has one."""
    path, spec = tmp_path / "v.safetensors", ModelSpec("backbone", TINY)
    write_checkpoint(path, build_random(spec), spec)
    checkpoint = read_checkpoint(path)
    assert identify(checkpoint, preset_name="lvt_r3").config.recursion == 3
    with pytest.raises(UserError, match="could only change the depth"):
        identify(checkpoint, preset_name="volo_d0")
