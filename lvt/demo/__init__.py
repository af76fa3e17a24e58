"""The demonstration: procedural pictures with exact panoptic truth, and a model trained on them."""

from __future__ import annotations

from pathlib import Path

from lvt.config import LVTConfig, StageConfig
from lvt.demo.palette import STUFF_CLASSES, THING_CLASSES
from lvt.panoptic.config import (
    AnchorConfig,
    DetectionConfig,
    FusionConfig,
    PanopticConfig,
    ProposalConfig,
    RoIConfig,
)

DEMO_CHECKPOINT = Path(__file__).parent / "demo_panoptic.safetensors"
"""Made by `lvt-train --demo --steps 7000 --batch 3 --seed 0 --threads 1`, in 64 minutes on one busy
core. Panoptic quality 84.9 on the first 100 held-out scenes, 82.9 of things and 87.5 of stuff."""
DEMO = Path("demo")
"""As a checkpoint this name means the demonstration model; as a folder of pictures, its scenes."""


def checkpoint_path(given: Path) -> Path:
    """The file that is meant: `demo` is the demonstration model's unless there is such a file."""
    return DEMO_CHECKPOINT if given == DEMO and not given.exists() else given


DEMO_SIZE = (256, 320)
"""Height and width of the demonstration's pictures."""

HELD_OUT_SEEDS = range(0, 10_000)
"""Scenes that are never trained on, nor used to choose anything."""
TRAINING_SEEDS = range(10_000, 10_000_000)

DEMO_BACKBONE = LVTConfig(
    stages=(
        StageConfig("csa", dim=32, heads=2, mlp_hidden=64, layers=1),
        StageConfig("rasa", dim=64, heads=4, mlp_hidden=128, layers=1, sr_ratio=4),
        StageConfig("rasa", dim=96, heads=6, mlp_hidden=288, layers=2, sr_ratio=2),
        StageConfig("rasa", dim=160, heads=10, mlp_hidden=480, layers=2, sr_ratio=1),
    )
)
"""Every kind of module of the paper's model, small enough to train on one core within the hour."""

DEMO_PANOPTIC = PanopticConfig(
    things=len(THING_CLASSES),
    stuff=len(STUFF_CLASSES),
    channels=48,
    semantic_channels=32,
    semantic_groups=8,
    anchors=AnchorConfig(scale=4.0),  # things are from 15 pixels on
    proposals=ProposalConfig(per_level=100, count=50),
    roi=RoIConfig(box_channels=128, finest_scale=28.0),
    detection=DetectionConfig(score_threshold=0.5, count=16),
    fusion=FusionConfig(min_stuff_area=512),
)
"""Thresholds and counts were chosen on scenes of training seeds: fewer boxes cost no quality.

One half is the lowest score threshold that the exported graph takes.
"""
