"""Fine-tuning of a tiny segmenter: less noise than before, and a program that has what was won."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import fx

from export.rewrite import rewrite
from lvt.data.images import packaged_photos, read_image
from lvt.data.metrics import sqnr_db
from lvt.data.preprocessing import fixed_size
from lvt.models import ModelSpec, build_random
from quantization.backend_config import BACKEND_CONFIGS, RECIPES
from quantization.calibrated_model import CalibratedModel
from quantization.finetune import finetune
from tests.conftest import tiny
from tests.helpers.models import calibrate_model, single_inputs

SIZE = (64, 96)


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.float32]]:
    preprocessing = fixed_size("semantic", SIZE)
    return [preprocessing(read_image(photo)) for photo in packaged_photos()]


@pytest.fixture(scope="module", params=["onnx", "tflite"])
def calibrated(
    request: pytest.FixtureRequest, images: list[NDArray[np.float32]]
) -> CalibratedModel:
    """With GELU's approximation in the one, and channels first in the other."""
    target = request.param
    model = rewrite(build_random(ModelSpec("semantic", tiny(recursion=2), 4), 5), RECIPES[target])
    return calibrate_model(model, SIZE, BACKEND_CONFIGS[target], images, "minmax")


def outputs(module: fx.GraphModule, images: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    with torch.no_grad():
        return np.concatenate([module(torch.from_numpy(image)).numpy() for image in images])


@pytest.mark.slow
def test_noise_falls_and_the_program_has_it(
    calibrated: CalibratedModel, images: list[NDArray[np.float32]]
) -> None:
    """Ranges that cut off what is large: weights learn to do with less."""
    narrow = {node: (0.6 * low, 0.6 * high) for node, (low, high) in calibrated.ranges.items()}
    calibrated = replace(calibrated, ranges=narrow)
    expected = outputs(calibrated.module, images)
    before = sqnr_db(outputs(calibrated.simulated(), images), expected)
    losses: list[float] = []
    tuned = finetune(
        calibrated, single_inputs(images), 40, on_step=lambda _step, loss: losses.append(loss)
    )
    after = sqnr_db(outputs(tuned.simulated(), images), expected)
    assert len(losses) == 40
    assert after > before + 1.5
    assert sqnr_db(outputs(tuned.program(), images), expected) > before + 1.5
    # The model that was passed in is unchanged.
    np.testing.assert_array_equal(outputs(calibrated.module, images), expected)
    assert sqnr_db(outputs(calibrated.simulated(), images), expected) == before


def test_blocks_in_float_are_not_rounded(
    calibrated: CalibratedModel, images: list[NDArray[np.float32]]
) -> None:
    """With all of them in float there is nothing to learn."""
    losses: list[float] = []
    finetune(
        calibrated,
        single_inputs(images),
        1,
        calibrated.blocks,
        lambda _step, loss: losses.append(loss),
    )
    assert losses[0] < 1e-9
