"""The page's host steps are Python's, on made-up maps: decisions and boxes to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.panoptic.parts.boxes import Floats, best, clip, decode, nms, sigmoid
from export.panoptic.parts.host import HostSteps, _grid_anchors
from export.panoptic.parts.layout import HostConstants, PyramidLevel
from export.panoptic.parts.roi_align import roi_levels
from export.panoptic.parts.session import PartsSession
from export.panoptic.parts.stages import STAGES
from export.session import Outputs
from tests.device_bench.browser_node import in_node

IMAGE = (96, 144)

FEATURE_TOLERANCE = 2e-6
"""Of features of maps between -1 and 1. The weights of a feature's cells add up to 1 and are equal
to the bit, but some libraries round once where others round a product and then a sum."""


def pyramid_level(number: int) -> PyramidLevel:
    stride = 2**number
    height, width = (-(-side // stride) for side in IMAGE)
    ratios = ((2.8, 1.4), (2.0, 2.0), (1.4, 2.8))
    anchors = tuple((-w * stride, -h * stride, w * stride, h * stride) for w, h in ratios)
    return PyramidLevel(f"p{number}", stride, (height, width), anchors)


CONSTANTS = HostConstants(
    image=IMAGE,
    levels=tuple(pyramid_level(number) for number in range(2, 7)),
    feature_levels=4,
    finest_scale=7.0,
    channels=5,
    things=3,
    rpn_stds=(1.0, 1.0, 1.0, 1.0),
    roi_stds=(0.1, 0.1, 0.2, 0.2),
    max_log_scale=float(np.log(1000 / 16)),
    per_level=90,
    proposals=50,
    proposal_iou=0.7,
    box_size=7,
    box_batch=16,  # the last batch is not full
    score_threshold=0.05,
    detection_iou=0.5,
    detections=30,
    mask_size=14,
    mask_batch=4,
)
"""A small model; every limit is reached."""


def made_up_core(generator: np.random.Generator) -> dict[str, Floats]:
    """Outputs of `core`: many equal logits, and deltas beyond the limit of the log scale."""

    def floats(*shape: int, scale: float) -> Floats:
        return generator.normal(0, scale, shape).astype(np.float32)

    core = {}
    for level in CONSTANTS.levels:
        height, width = level.cells
        core[level.name] = generator.uniform(-1, 1, (1, height, width, 5)).astype(np.float32)
        core[f"objectness_{level.name}"] = floats(1, height, width, 3, scale=3).round(1)
        core[f"deltas_{level.name}"] = floats(1, height, width, 12, scale=1.5)
    core["semantic"] = floats(1, 4, 24, 36, scale=1)
    return core


def plain(values: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Arrays as flat lists; JSON keeps every bit of a float32 number."""
    return {name: array.ravel().tolist() for name, array in values.items()}


class MadeUpParts:
    """An `EntryPointSession` of recorded outputs, which keeps its inputs."""

    def __init__(self, generator: np.random.Generator):
        c = CONSTANTS
        self.inputs: dict[str, list[dict[str, Floats]]] = {"boxes": [], "masks": []}
        self.outputs: dict[str, list[dict[str, Floats]]] = {
            "core": [made_up_core(generator)],
            "boxes": [self._boxes(generator) for _call in range(-(-c.proposals // c.box_batch))],
            "masks": [
                {"masks": generator.random((c.mask_batch, 28, 28), np.float32)}
                for _call in range(-(-c.detections // c.mask_batch))
            ],
        }

    def _boxes(self, generator: np.random.Generator) -> dict[str, Floats]:
        c = CONSTANTS
        scores = generator.dirichlet([1.0] * (c.things + 1), c.box_batch).round(2)
        deltas = generator.normal(0, 3, (c.box_batch, 4 * c.things))
        return {"scores": scores.astype(np.float32), "deltas": deltas.astype(np.float32)}

    def call(self, name: str, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        if name == "core":
            return self.outputs[name][0]
        self.inputs[name].append(dict(inputs))
        return self.outputs[name][len(self.inputs[name]) - 1]


RUN_PARTS = """
    const [constants, recorded] = data;
    const inputs = { boxes: [], masks: [] }, calls = { core: 0, boxes: 0, masks: 0 };
    const session = (part) => ({
      run: async (feeds) => {
        inputs[part]?.push(feeds);
        const outputs = recorded[part][calls[part]++];
        return Object.fromEntries(Object.entries(outputs).map(
          ([name, values]) => [name, { data: Float32Array.from(values) }],
        ));
      },
    });
    const sessions = Object.fromEntries(page.PARTS.map((part) => [part, session(part)]));
    const makeTensor = (values, shape) => ({ shape, values: [...values] });
    const parts = new page.PartsSession(sessions, constants, makeTensor);
    const outputs = await parts.run({});
    for (const [name, { data }] of Object.entries(outputs)) outputs[name] = [...data];
    const output = { outputs, inputs, stages: parts.stages };
"""


def run_both(made_up: MadeUpParts, constants: HostConstants) -> tuple[PartsSession, Outputs, Any]:
    """Python's session with its outputs, and what the page's session gives for the same parts."""
    session = PartsSession(made_up, constants)
    expected = session.run(np.zeros((1, 3, *IMAGE), np.float32))
    recorded = {part: [plain(call) for call in calls] for part, calls in made_up.outputs.items()}
    return session, expected, in_node("parts.js", RUN_PARTS, constants.to_dict(), recorded)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_is_pythons(seed: int) -> None:
    """Outputs to the bit for the same outputs of the parts, and the same inputs to the parts."""
    made_up = MadeUpParts(np.random.default_rng(seed))
    session, expected, found = run_both(made_up, CONSTANTS)
    assert session.stages is not None
    assert found["stages"]["proposals"] == session.stages.proposals == 50
    assert found["stages"]["detections"] == session.stages.detections == 30
    assert list(found["stages"]["milliseconds"]) == list(STAGES)
    assert all(value > 0 for value in found["stages"]["milliseconds"].values())
    assert found["outputs"] == plain(expected)
    for part, calls in made_up.inputs.items():
        assert len(found["inputs"][part]) == len(calls)
        for call, tensors in zip(calls, found["inputs"][part], strict=True):
            assert list(tensors) == list(call)
            for name, array in call.items():
                assert tensors[name]["shape"] == list(array.shape)
                values = np.array(tensors[name]["values"]).reshape(array.shape)
                np.testing.assert_allclose(values, array, rtol=0, atol=FEATURE_TOLERANCE)


@pytest.mark.parametrize(("threshold", "some"), [(0.85, True), (1.0, False)])
def test_few_detections_leave_empty_slots(threshold: float, some: bool) -> None:
    """Slots after the last detection are zero; without detections `masks` is not called."""
    made_up = MadeUpParts(np.random.default_rng(5))
    _, expected, found = run_both(made_up, replace(CONSTANTS, score_threshold=threshold))
    assert found["outputs"] == plain(expected)
    count = np.count_nonzero(expected["scores"])
    assert found["stages"]["detections"] == count < 30
    assert (count > 0) == (len(found["inputs"]["masks"]) > 0) == some


def test_best_scores_keep_the_order_of_equals() -> None:
    generator = np.random.default_rng(1)
    series = [generator.integers(0, 9, 200).astype(np.float32) for _ in range(20)]
    counts = [0, 1, 57, 199, 200, 300]
    script = """
        const output = data[0].map((scores) =>
          data[1].map((count) => [...page.best(Float32Array.from(scores), count)]));
    """
    found = in_node("host_steps.js", script, [scores.tolist() for scores in series], counts)
    # Python's `best` needs at least one to choose.
    expected = [
        [best(scores, count).tolist() if count else [] for count in counts] for scores in series
    ]
    assert found == expected


def test_boxes_whose_iou_is_the_threshold() -> None:
    """On a small grid many pairs have the threshold's IoU exactly, and some boxes have no area."""
    generator = np.random.default_rng(2)
    cases = []
    for threshold in (0.25, 0.5, 0.7, 2 / 3):
        for count in (3, 20, 400):
            corners = np.sort(generator.integers(0, 7, (300, 2, 2)), axis=1)
            cases.append((corners.reshape(-1, 4).astype(np.float32), threshold, count))
    # 7/10 in float64 is above 0.7 in float32; in float32 it is equal.
    cases.append((np.array([[0, 0, 10, 1], [0, 0, 7, 1]], np.float32), 0.7, 2))
    assert nms(*cases[-1]).tolist() == [0, 1]
    script = """
        const output = data[0].map(([boxes, threshold, count]) =>
          [...page.nms(Float32Array.from(boxes), threshold, count)]);
    """
    plain_cases = [(boxes.ravel().tolist(), iou, count) for boxes, iou, count in cases]
    expected = [nms(*case).tolist() for case in cases]
    assert in_node("host_steps.js", script, plain_cases) == expected


def test_decoded_boxes_to_the_bit() -> None:
    generator = np.random.default_rng(3)
    corners = np.sort(generator.uniform(-50, 200, (5000, 2, 2)), axis=1)
    references = corners.reshape(-1, 4).astype(np.float32)
    deltas = generator.normal(0, 4, (5000, 4)).astype(np.float32)
    stds, limit = CONSTANTS.roi_stds, CONSTANTS.max_log_scale
    script = """
        const [references, deltas, stds, limit, image] = data;
        const logits = Float32Array.from(deltas);
        const boxes = page.decode(Float32Array.from(references), logits, stds, limit);
        const output = [[...boxes], [...page.clip(boxes, image)], [...page.sigmoid(logits)]];
    """
    found = in_node(
        "host_steps.js", script, references.ravel().tolist(), deltas.ravel().tolist(), stds, limit,
        IMAGE,
    )  # fmt: skip
    boxes = decode(references, deltas, stds, limit)
    for values, expected in zip(found, (boxes, clip(boxes, IMAGE), sigmoid(deltas)), strict=True):
        assert np.array_equal(np.array(values, np.float32), expected.ravel())


def test_anchors() -> None:
    script = "const output = data[0].map((level) => [...page.gridAnchors(level)]);"
    found = in_node("host_steps.js", script, CONSTANTS.to_dict()["levels"])
    for anchors, level in zip(found, CONSTANTS.levels, strict=True):
        assert np.array_equal(np.array(anchors, np.float32), _grid_anchors(level).ravel())


def test_features_at_the_limits() -> None:
    """Boxes whose size is a limit of a level, at the borders of the image, and without area."""
    sides = [limit + step for limit in (0, 14, 28, 56) for step in (-1e-5, 0, 1e-5, 0.3)]
    sizes = [size for side in sides for size in ((side, side), (1.5 * side, side / 1.5))]
    rooms = [(IMAGE[1] - width, IMAGE[0] - height) for width, height in sizes]
    corners = [
        (x * room[0], y * room[1], x * room[0] + width, y * room[1] + height)
        for (width, height), room in zip(sizes, rooms, strict=True)
        for x in (0, 0.4, 1)
        for y in (0, 0.7, 1)
    ]
    boxes = clip(np.array(corners, np.float32), IMAGE)
    core = made_up_core(np.random.default_rng(4))
    script = """
        const [boxes, core, constants] = data, flat = Float32Array.from(boxes);
        for (const name in core) core[name] = Float32Array.from(core[name]);
        const output = [
          [...page.roiLevels(flat, constants.finest_scale, constants.feature_levels)],
          [...page.boxFeatures(core, flat, 7, constants)],
        ];
    """
    levels, features = in_node(
        "host_steps.js", script, boxes.ravel().tolist(), plain(core), CONSTANTS.to_dict()
    )
    expected = roi_levels(boxes, CONSTANTS.finest_scale, CONSTANTS.feature_levels)
    assert levels == expected.tolist()
    assert set(levels) == {0, 1, 2, 3}
    values = HostSteps(CONSTANTS).features(core, boxes, 7).ravel()
    np.testing.assert_allclose(features, values, rtol=0, atol=FEATURE_TOLERANCE)
