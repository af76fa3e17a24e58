"""The model in parts against the reference: the official model on the oracle's picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from export.panoptic.limits import with_limits
from export.panoptic.parts.layout import HostConstants
from export.panoptic.parts.modules import panoptic_parts
from export.panoptic.parts.session import PartsProgram, PartsSession
from export.panoptic.parts.stages import STAGES
from export.panoptic.session import PanopticReferenceSession
from export.parity.compare import TOLERANCES, compare
from export.rewrite import rewrite
from export.session import Outputs, TorchEntryPoints
from export.verify.arm.emulated_file import in_lockstep
from lvt.config import LVT
from lvt.models import ModelSpec
from lvt.panoptic.config import DetectionConfig
from lvt.panoptic.model import LVTPanoptic

SIZE = (256, 320)


class CountingRuntime:
    """The entry points in PyTorch; counts the calls of each, and checks their shapes."""

    def __init__(self, model: LVTPanoptic, host: HostConstants):
        self._entry_points = {entry.name: entry for entry in panoptic_parts(model, host)}
        self._runtime = TorchEntryPoints(tuple(self._entry_points.values()))
        self.calls: Counter[str] = Counter()

    def call(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> Outputs:
        entry, outputs = self._entry_points[name], self._runtime.call(name, inputs)
        self.calls[name] += 1
        for infos, arrays in ((entry.inputs, inputs), (entry.outputs, outputs)):
            assert [(i.name, i.shape) for i in infos] == [(k, v.shape) for k, v in arrays.items()]
        return outputs


@pytest.mark.parametrize("recipe", ["onnxruntime", "xnnpack", "neural_engine"])
@pytest.mark.parametrize(
    ("proposals", "detections", "found"), [(None, None, 23), (100, 5, 5)], ids=str
)
def test_parts_equal_the_reference(
    oracle_model: LVTPanoptic,
    oracle_image: NDArray[np.float32],
    recipe: str,
    proposals: int | None,
    detections: int | None,
    found: int,
) -> None:
    """No box more or less, with the official thousand proposals; and no call more than needed."""
    config = with_limits(oracle_model.config, proposals, detections)
    host = HostConstants.for_model(config, SIZE)
    runtime = CountingRuntime(rewrite(oracle_model, recipe), host)  # type: ignore[arg-type]
    session = PartsSession(runtime, host)
    reference = PanopticReferenceSession(oracle_model, config)
    spec = ModelSpec.for_panoptic(LVT, config)
    report = compare(reference, session, [oracle_image], spec, TOLERANCES["fp32"])
    assert report.passed, report.failures
    assert report.unpaired_detections == 0
    assert report.agreement is not None
    assert report.agreement >= 0.9999
    assert session.stages is not None
    assert session.stages.detections == found
    assert session.stages.proposals == config.proposals.count
    assert tuple(session.stages.milliseconds) == STAGES
    assert min(session.stages.milliseconds.values()) > 0
    assert runtime.calls == {
        "core": 1,
        "boxes": -(-config.proposals.count // host.box_batch),
        "masks": -(-found // host.mask_batch),
    }


def test_empty_slots_are_zero(oracle_model: LVTPanoptic, oracle_image: NDArray[np.float32]) -> None:
    host = HostConstants.for_model(oracle_model.config, SIZE)
    outputs = PartsSession(CountingRuntime(oracle_model, host), host).run(oracle_image)
    assert outputs["labels"].dtype == np.int32
    for name in ("boxes", "scores", "labels", "masks"):
        assert len(outputs[name]) == 100
        assert outputs[name][:23].any()
        assert not outputs[name][23:].any()


def test_without_detections_masks_are_not_called(oracle_model: LVTPanoptic) -> None:
    strict = DetectionConfig(score_threshold=1.0)
    config = replace(oracle_model.config, detection=strict)
    host = HostConstants.for_model(config, SIZE)
    runtime = CountingRuntime(oracle_model, host)
    outputs = PartsSession(runtime, host).run(np.zeros((1, 3, *SIZE), np.float32))
    assert not any(outputs[name].any() for name in ("boxes", "scores", "labels", "masks"))
    assert outputs["semantic"].any()
    assert runtime.calls["masks"] == 0


def test_programs_in_lockstep_give_what_sessions_give(
    oracle_model: LVTPanoptic, oracle_image: NDArray[np.float32]
) -> None:
    """How emulated hardware runs several pictures; they need different numbers of calls."""
    config = with_limits(oracle_model.config, 200, None)
    host = HostConstants.for_model(config, SIZE)
    images = [oracle_image, np.zeros_like(oracle_image), oracle_image[:, :, ::-1].copy()]
    runtime = CountingRuntime(oracle_model, host)
    rounds: list[str] = []

    def call_all(name: str, calls: list[dict[str, NDArray[np.float32]]]) -> list[Outputs]:
        rounds.append(name)
        return [runtime.call(name, inputs) for inputs in calls]

    programs = [PartsProgram(host).run(image) for image in images]
    found = [outputs for outputs, _ in in_lockstep(programs, call_all)]  # type: ignore[arg-type]
    session = PartsSession(runtime, host)
    for image, outputs in zip(images, found, strict=True):
        for name, value in session.run(image).items():
            np.testing.assert_array_equal(outputs[name], value)
    assert rounds.count("core") == 1
    assert rounds.count("boxes") == 2


def test_masks_are_of_the_class_asked_for(oracle_model: LVTPanoptic) -> None:
    """One row of the last layer's weights; the reference computes all classes."""
    host = HostConstants.for_model(oracle_model.config, SIZE)
    masks = panoptic_parts(oracle_model, host)[2].module
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(host.mask_batch, 14, 14, 96, generator=generator)
    labels = torch.tensor([3, 79, 0, 41])
    with torch.inference_mode():
        found = masks(features, torch.nn.functional.one_hot(labels, 80).float())
        every = oracle_model.roi_head.mask_head(features.permute(0, 3, 1, 2)).sigmoid()
    torch.testing.assert_close(found, every[torch.arange(4), labels], atol=1e-5, rtol=0)
