"""The reference computes what the official SegFormer on LVT computes.

Tolerances are those of FACTS: logits 3e-4 (float64 lies within 4.4e-5 of the stored float32
numbers), label maps 0-10 pixels.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lvt.checkpoint import DEAD_KEYS
from lvt.config import LVT
from lvt.data.preprocessing import Preprocessing, official
from lvt.data.preprocessing_steps import FitWithin
from lvt.postprocessing import label_map
from lvt.semantic import LVTSegFormer, resize_bilinear
from tests.oracles import Oracle, load_oracle, run_with_taps, sha256

TOLERANCE = 3e-4
LABEL_PIXELS = 10


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return load_oracle("segformer_lvt")


@pytest.fixture(scope="module")
def model(oracle: Oracle) -> LVTSegFormer:
    module = LVTSegFormer(LVT, 150).eval()
    state = {k: v for k, v in oracle.state_dict().items() if k not in DEAD_KEYS}
    module.load_state_dict(state, strict=True)
    return module


def test_recipe_makes_the_official_weights(oracle: Oracle) -> None:
    state = oracle.state_dict()
    assert {k: sha256(v) for k, v in state.items()} == oracle.spec["state_dict_sha256"]


@pytest.mark.parametrize("case", ["128x160", "150x201"])
def test_logits_and_every_stored_stage(oracle: Oracle, model: LVTSegFormer, case: str) -> None:
    """A batch of two at an aligned size, and an odd size with ragged windows everywhere."""
    spec = oracle.spec["cases"][case]
    image = oracle.generate(spec["input"]["key"], spec["input"]["shape"])
    logits, recorded = run_with_taps(model, spec["taps"], image)
    resized = resize_bilinear(logits, tuple(image.shape[-2:]))
    worst = {n: oracle.difference(f"{case}/tap/{n}", recorded[n]) for n in spec["taps"]}
    assert max(worst.values()) < TOLERANCE, worst
    whole = f"{case}/logits_batch2" if len(image) == 2 else f"{case}/logits"
    assert oracle.difference(whole, logits) < TOLERANCE
    assert oracle.difference(f"{case}/logits_resized", resized) < TOLERANCE
    labels = resized.argmax(1).numpy()[:1]
    assert int((labels != oracle.arrays[f"{case}/resized_argmax"]).sum()) <= LABEL_PIXELS


def test_picture_end_to_end(oracle: Oracle, model: LVTSegFormer) -> None:
    """Two resizes in, two resizes out, as the official test pipeline does."""
    rgb = oracle.arrays["picture/rgb"]
    # The oracle's test scale is (2048, 160) instead of (2048, 512), to keep the case quick.
    shorter = FitWithin(2048, 160, "opencv_bilinear")
    preprocessing = Preprocessing((shorter, *official("semantic").steps[1:]))
    image = preprocessing(rgb)
    assert oracle.difference("picture/net_input", image) == 0
    with torch.inference_mode():
        logits = model(torch.from_numpy(image))
    full = resize_bilinear(resize_bilinear(logits, (160, 224)), (150, 201))
    assert oracle.difference("picture/logits_original_size", full) < TOLERANCE
    assert oracle.difference("picture/softmax_original_size", full.softmax(1)) < TOLERANCE
    labels = label_map(logits.numpy(), (160, 224), (150, 201))
    assert int((labels != oracle.arrays["picture/labels"]).sum()) <= LABEL_PIXELS


def test_label_map_equals_argmax_over_all_classes(model: LVTSegFormer) -> None:
    """The running maximum over chunks of classes must not change ties or indices."""
    logits = np.random.default_rng(0).standard_normal((1, 53, 9, 11)).astype(np.float32)
    logits[:, 40] = logits[:, 3]  # ties across chunks: the lower index wins, as in argmax
    full = resize_bilinear(torch.from_numpy(logits), (36, 44))
    expected = resize_bilinear(full, (31, 50)).argmax(1)[0].numpy()
    assert np.array_equal(label_map(logits, (36, 44), (31, 50)), expected)
