"""SQNR of a model's outputs against expected ones, over several images."""

from __future__ import annotations

from export.session import Outputs
from lvt.config import Task
from lvt.data.metrics import ChannelNoise, SignalToNoise
from lvt.models import ModelSpec

COMPARABLE: dict[Task, tuple[str, ...]] = {"panoptic": ("semantic",)}
"""Outputs that are compared value by value; all outputs of tasks that are not listed.

Detections are not compared so: one that is gained or lost shifts all detections after it.
"""

Pairs = list[tuple[Outputs, Outputs]]
"""(actual, expected) outputs of each image."""


def per_channel_sqnr(pairs: Pairs, spec: ModelSpec) -> float:
    """dB of the worst comparable output, where each channel counts the same."""
    return _worst_sqnr(pairs, spec, ChannelNoise)


def overall_sqnr(pairs: Pairs, spec: ModelSpec) -> float:
    """dB of the worst comparable output, over all its values together."""
    return _worst_sqnr(pairs, spec, SignalToNoise)


def _worst_sqnr(
    pairs: Pairs, spec: ModelSpec, kind: type[ChannelNoise] | type[SignalToNoise]
) -> float:
    ratios = {name: kind() for name in COMPARABLE.get(spec.task, spec.outputs)}
    for actual, expected in pairs:
        for name, ratio in ratios.items():
            ratio.add(actual[name], expected[name])
    return min(ratio.db for ratio in ratios.values())
