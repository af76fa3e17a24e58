"""The reference computes what the official classifier computes, stage by stage.

Tolerance 1e-4: FACTS gives it for logits and single modules; the same network in float64 lies
within 1.02e-5 of the stored float32 numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from lvt import backbone
from lvt.attention import CSA, RASA, MultiScaleQuery
from lvt.backbone import Block
from lvt.classification import ClassBlock, LVTClassifier, LVTPooledClassifier
from lvt.config import LVT, StageConfig, preset
from lvt.data.preprocessing import official
from lvt.layers import ConvMlp, PatchEmbed
from tests.oracles import Oracle, load_oracle, run_with_taps, sha256

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return load_oracle("lvt_cls")


@pytest.fixture(scope="module")
def classifier(oracle: Oracle) -> LVTClassifier:
    model = LVTClassifier(LVT, 1000).eval()
    model.load_state_dict(oracle.state_dict(), strict=True)
    return model


def test_recipe_makes_the_official_weights(oracle: Oracle) -> None:
    """If our recipe drifted, every other oracle test would compare against other weights."""
    state = oracle.state_dict()
    assert {k: sha256(v) for k, v in state.items()} == oracle.spec["state_dict_sha256"]


@pytest.mark.parametrize("case", ["r2_224x224", "r2_256x192"])
def test_logits_and_every_stored_stage(
    oracle: Oracle, classifier: LVTClassifier, case: str
) -> None:
    """Guards each stage alone: a compensating pair of errors would pass a test of logits only."""
    spec = oracle.spec["cases"][case]
    image = oracle.generate(spec["input"]["key"], spec["input"]["shape"])
    assert sha256(image) == spec["input"]["sha256"]
    batch = 2 if spec["input"]["use"] == "[:2]" else 1
    logits, recorded = run_with_taps(classifier, spec["taps"], image[:batch])
    # The official aux head sees the patch tokens only, as ours does.
    worst = {name: oracle.difference(f"{case}/tap/{name}", recorded[name]) for name in spec["taps"]}
    assert max(worst.values()) < TOLERANCE, worst
    assert oracle.difference(f"{case}/logits", logits) < TOLERANCE
    assert oracle.difference(f"{case}/aux_max", recorded["aux_head"].amax(1)) < TOLERANCE


def test_picture_end_to_end(oracle: Oracle, classifier: LVTClassifier) -> None:
    """Preprocessing and network together give the official logits for a picture."""
    image = official("classification")(oracle.arrays["picture/rgb"])
    assert oracle.difference("picture/net_input", image) == 0
    with torch.inference_mode():
        logits = classifier(torch.from_numpy(image))
    assert oracle.difference("picture/logits", logits) < TOLERANCE


def test_pooled_classifier(oracle: Oracle) -> None:
    variant = oracle.spec["variants"]["lvt_plain"]
    model = LVTPooledClassifier(LVT, 1000).eval()
    model.load_state_dict(oracle.state_dict(variant["state_dict"]), strict=True)
    with torch.inference_mode():
        logits = model(oracle.generate("input/224x224", [2, 3, 224, 224])[:1])
    assert oracle.difference("lvt_plain/logits", logits) < TOLERANCE


def test_features_with_output_norms(oracle: Oracle) -> None:
    variant = oracle.spec["variants"]["lvt_features_layernorm"]
    model = backbone.LVT(LVT, output_norms=True).eval()
    model.load_state_dict(oracle.state_dict(variant["state_dict"]), strict=True)
    with torch.inference_mode():
        maps = model(oracle.generate("input/224x224", [2, 3, 224, 224])[:1])
    for index, features in enumerate(maps):
        name = f"lvt_features_layernorm/out{index}"
        assert oracle.difference(name, features) < TOLERANCE, name


CSA_STAGE, _, RASA_STAGE, _ = LVT.stages
UNITS: dict[str, Callable[[], nn.Module]] = {
    "csa_even": lambda: CSA(64, 2),
    "csa_odd": lambda: CSA(64, 2),
    "rasa_sr4_r2": lambda: RASA(64, 2, sr_ratio=4),
    "rasa_sr2_r2": lambda: RASA(160, 5, sr_ratio=2),
    "rasa_sr1_r1": lambda: RASA(256, 8, recursion=1),
    "rasa_sr1_r2": lambda: RASA(256, 8, recursion=2),
    "rasa_sr1_r3": lambda: RASA(256, 8, recursion=3),
    "sa_sr2": lambda: RASA(64, 2, sr_ratio=2, dilations=(), recursion=1),
    "mlp_dw": lambda: ConvMlp(64, 512),
    "block_csa_small_input": lambda: Block(CSA_STAGE, LVT),
    "block_rasa_small_input": lambda: Block(RASA_STAGE, LVT),
    "class_block": lambda: ClassBlock(256, 8, 1024),
    "patch_embed_7": lambda: PatchEmbed(3, 64, kernel=7, stride=4, takes_image=True),
    "patch_embed_3": lambda: PatchEmbed(64, 160, kernel=3, stride=2, takes_image=False),
    "ds_conv2d": lambda: MultiScaleQuery(64, (1, 3, 5)),
}


@pytest.mark.parametrize("case", UNITS)
def test_single_modules(oracle: Oracle, case: str) -> None:
    """Each module alone; inputs of 1% size in the blocks pin LayerNorm's epsilon."""
    spec = oracle.spec["units"][case]
    module = UNITS[case]().eval()
    state = {
        key.split(".", 3)[3]: value for key, value in oracle.state_dict(spec["state_dict"]).items()
    }
    module.load_state_dict(state, strict=True)
    with torch.inference_mode():
        output = module(oracle.generate(spec["input"]["key"], spec["input"]["shape"]))
    assert oracle.difference(spec["output"], output) < TOLERANCE


def test_all_unit_cases_are_tested(oracle: Oracle) -> None:
    assert UNITS.keys() == oracle.spec["units"].keys()


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_recursion_presets_share_parameters(depth: int) -> None:
    """Section 3.2: recursion deepens the network without a single further parameter."""
    config = preset(f"lvt_r{depth}")
    assert config.recursion == depth
    shapes = {k: v.shape for k, v in backbone.LVT(config).state_dict().items()}
    assert shapes == {k: v.shape for k, v in backbone.LVT(LVT).state_dict().items()}


def test_recursion_depth_changes_the_result() -> None:
    """A depth that were ignored would pass every test of shapes."""
    stage = StageConfig("rasa", dim=16, heads=2, mlp_hidden=16)
    torch.manual_seed(0)
    modules = [RASA(stage.dim, stage.heads, recursion=depth).eval() for depth in (1, 2, 3)]
    for module in modules[1:]:
        module.load_state_dict(modules[0].state_dict())
    x = torch.randn(1, 5, 7, 16)
    outputs = [module(x).detach().numpy() for module in modules]
    assert not np.allclose(outputs[0], outputs[1], atol=1e-3)
    assert not np.allclose(outputs[1], outputs[2], atol=1e-3)
