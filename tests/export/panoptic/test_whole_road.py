"""Slots, letterbox and post-processing against `LVTPanoptic.predict`: two ways to one map."""

from __future__ import annotations

import numpy as np
import torch

from export.reference import reference_session
from lvt.config import LVT
from lvt.data.preprocessing import fixed_size
from lvt.models import ModelSpec
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.postprocess import panoptic_map
from tests.oracles import load_oracle


def test_slots_and_predict_agree_without_padding() -> None:
    """Without padding both know the same picture, so the maps are the same but for rounding."""
    oracle = load_oracle("panoptic_fpn_lvt")
    model = LVTPanoptic(LVT, PanopticConfig()).eval()
    model.load_state_dict(oracle.state_dict())
    picture = np.ascontiguousarray(oracle.arrays["synth/original_rgb"][:256, :320])
    image = fixed_size("panoptic", (256, 320))(picture)
    session = reference_session(model, ModelSpec.for_panoptic(LVT, model.config))
    found = panoptic_map(session.run(image), model.config, (256, 320), (256, 320), (256, 320))
    size = (256, 320)
    expected = model.predict(
        torch.from_numpy(image), image_size=size, original_size=size, scale_factor=(1.0, 1.0)
    ).panoptic
    assert len([s for s in expected.segments if s.detection is not None]) > 5
    assert (found.ids == expected.ids).mean() >= 0.9999
    assert {s.id for s in found.segments} == {s.id for s in expected.segments}
