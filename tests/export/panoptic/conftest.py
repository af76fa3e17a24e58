"""The official panoptic model and its picture."""

from __future__ import annotations

import numpy as np
import pytest

from lvt.config import LVT
from lvt.data.preprocessing import fixed_size
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.model import LVTPanoptic
from tests.oracles import load_oracle


@pytest.fixture(scope="module")
def oracle_model() -> LVTPanoptic:
    model = LVTPanoptic(LVT, PanopticConfig()).eval()
    model.load_state_dict(load_oracle("panoptic_fpn_lvt").state_dict(), strict=True)
    return model


@pytest.fixture(scope="module")
def oracle_image() -> np.ndarray:
    """The oracle's picture at 256x320: 31 detections of 8 classes, 1000 proposals."""
    picture = load_oracle("panoptic_fpn_lvt").arrays["synth/resized_rgb"]
    return fixed_size("panoptic", (256, 320))(picture)
