"""Cluster-NMS is greedy NMS."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.panoptic.nms import SWEEPS, ClusterNMS
from lvt.checkpoint import identify, load_model, read_checkpoint
from lvt.config import LVT
from lvt.data.preprocessing import fixed_size
from lvt.demo import DEMO_CHECKPOINT, DEMO_SIZE
from lvt.demo.scenes import make_scene
from lvt.panoptic.anchors import grid_anchors
from lvt.panoptic.boxes import RPN_CODER, clip_boxes
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.nms import nms
from tests.oracles import load_oracle


def random_boxes(count: int, crowd: float, seed: int) -> torch.Tensor:
    """Boxes in falling score; the smaller `crowd`, the more they overlap."""
    generator = np.random.default_rng(seed)
    centre = generator.random((count, 2)) * 100 * crowd
    side = generator.random((count, 2)) * 40 + 2
    return torch.from_numpy(np.concatenate([centre, centre + side], axis=1).astype(np.float32))


def survivors(boxes: torch.Tensor, threshold: float) -> list[int]:
    scores = torch.arange(len(boxes), 0, -1).float()
    return sorted(nms(boxes, scores, threshold).tolist())


def sweeps_needed(boxes: torch.Tensor, threshold: float) -> int:
    """Number of sweeps after which the result of `ClusterNMS` no longer changes."""
    valid = boxes.new_ones(len(boxes))
    last = ClusterNMS(len(boxes), threshold, 0)(boxes, valid)
    for sweeps in range(1, len(boxes) + 2):
        alive = ClusterNMS(len(boxes), threshold, sweeps)(boxes, valid)
        if torch.equal(alive, last):
            return sweeps - 1
        last = alive
    return len(boxes)


@settings(max_examples=250, deadline=None)
@given(
    st.integers(1, 60),
    st.sampled_from([0.05, 0.3, 1.0, 3.0]),
    st.sampled_from([0.3, 0.5, 0.7]),
    st.integers(0, 2**32 - 1),
)
def test_equals_greedy_nms(count: int, crowd: float, threshold: float, seed: int) -> None:
    """Thousands of random sets (eight an example), crowded ones included."""
    for shift in range(8):
        boxes = random_boxes(count, crowd, seed + shift)
        alive = ClusterNMS(count, threshold)(boxes, torch.ones(count))
        assert alive.nonzero().flatten().tolist() == survivors(boxes, threshold)


def test_sweeps_are_enough_with_room() -> None:
    """What SWEEPS is set by: the longest chain in large crowds of random boxes."""
    longest = max(
        sweeps_needed(random_boxes(300, crowd, seed), threshold)
        for crowd in (0.3, 1.0, 3.0)
        for threshold in (0.5, 0.7)
        for seed in range(3)
    )
    assert longest <= SWEEPS // 2


def test_a_longer_chain_than_sweeps_goes_wrong() -> None:
    """The bound is real: a staircase of boxes, each overlapping the next, needs a sweep a step."""
    steps = 3 * SWEEPS
    x = torch.arange(steps).float() * 3
    zero = torch.zeros_like(x)
    boxes = torch.stack([x, zero, x + 10, zero + 10], dim=1)
    expected = survivors(boxes, 0.5)
    enough = sweeps_needed(boxes, 0.5)
    assert enough > SWEEPS
    few = ClusterNMS(steps, 0.5, SWEEPS // 2)(boxes, torch.ones(steps))
    many = ClusterNMS(steps, 0.5, enough)(boxes, torch.ones(steps))
    assert few.nonzero().flatten().tolist() != expected
    assert many.nonzero().flatten().tolist() == expected


def test_invalid_boxes_neither_survive_nor_suppress() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    alive = ClusterNMS(3, 0.5)(boxes, torch.tensor([0.0, 1.0, 1.0]))
    assert alive.tolist() == [0.0, 1.0, 0.0]


def test_boxes_without_area_do_not_poison_others() -> None:
    """0/0 is NaN; a NaN in the product would kill every box."""
    boxes = torch.tensor([[5.0, 5, 5, 5], [0, 0, 10, 10], [5, 5, 5, 5]])
    assert ClusterNMS(3, 0.5)(boxes, torch.ones(3)).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.slow
def test_real_chains_are_far_shorter_than_sweeps() -> None:
    """RPN boxes of pictures: 1000 a level of the oracle model, 200 of the trained demo model."""
    oracle = load_oracle("panoptic_fpn_lvt")
    big = LVTPanoptic(LVT, PanopticConfig()).eval()
    big.load_state_dict(oracle.state_dict())
    demo = read_checkpoint(DEMO_CHECKPOINT)
    small = load_model(demo, identify(demo))
    assert isinstance(small, LVTPanoptic)
    pictures = [(big, oracle.arrays["synth/resized_rgb"])]
    pictures += [(small, make_scene(seed, DEMO_SIZE).image) for seed in range(8)]
    longest = 0
    for model, picture in pictures:
        image = torch.from_numpy(fixed_size("panoptic", DEMO_SIZE)(picture))
        config = model.config
        with torch.inference_mode():
            maps = model(image)
        for index, (logits, deltas) in enumerate(maps.rpn.flat(0)):
            cells = maps.rpn.objectness[index].shape[-2:]
            anchors = grid_anchors(
                (cells[0], cells[1]), config.anchors.strides[index], config.anchors
            )
            best = logits.argsort(descending=True)[: config.proposals.per_level]
            boxes = clip_boxes(RPN_CODER.decode(anchors[best], deltas[best]), DEMO_SIZE)
            longest = max(longest, sweeps_needed(boxes, config.proposals.iou_threshold))
    print(f"\nlongest chain: {longest} sweeps of {SWEEPS}")
    assert longest <= SWEEPS // 2
