"""The demo: generated scenes with exact panoptic ground truth, and a model trained on them."""

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
"""The demo model.

Trained by `lvt-train --demo --steps 7000 --batch 3 --seed 0 --threads 1` in 64 minutes on one busy
core. Panoptic quality 84.9 on the first 100 held-out scenes: things 82.9, stuff 87.5.
"""

DEMO_ALIAS = Path("demo")
"""Stands for the demo model in place of a checkpoint, for its scenes in place of a folder."""

DEMO_SIZE = (256, 320)
"""Height and width of the demo model's input."""

HELD_OUT_SEEDS = range(0, 10_000)
"""Seeds of the scenes that no training, calibration or choice of parameters uses."""
TRAINING_SEEDS = range(10_000, 10_000_000)
"""Seeds of the scenes for training and calibration."""


def checkpoint_path(path: Path) -> Path:
    """The path itself; for `demo`, unless there is such a file, the path of the demo model."""
    return DEMO_CHECKPOINT if path == DEMO_ALIAS and not path.exists() else path


DEMO_BACKBONE = LVTConfig(
    stages=(
        StageConfig("csa", dim=32, heads=2, mlp_hidden=64, layers=1),
        StageConfig("rasa", dim=64, heads=4, mlp_hidden=128, layers=1, sr_ratio=4),
        StageConfig("rasa", dim=96, heads=6, mlp_hidden=288, layers=2, sr_ratio=2),
        StageConfig("rasa", dim=160, heads=10, mlp_hidden=480, layers=2, sr_ratio=1),
    )
)
"""All kinds of modules of the paper's model, small enough to train in an hour on one core."""

DEMO_PANOPTIC = PanopticConfig(
    things=len(THING_CLASSES),
    stuff=len(STUFF_CLASSES),
    channels=48,
    semantic_channels=32,
    semantic_groups=8,
    anchors=AnchorConfig(scale=4.0),  # the smallest things have 15 pixels
    proposals=ProposalConfig(per_level=100, count=50),
    roi=RoIConfig(box_channels=128, finest_scale=28.0),
    detection=DetectionConfig(score_threshold=0.5, count=16),
    fusion=FusionConfig(min_stuff_area=512),
)
"""Thresholds and counts were chosen on training scenes; more boxes do not increase the quality.

The exported graph requires a score threshold of at least one half.
"""
