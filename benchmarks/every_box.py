"""Writes a COCO-shaped panoptic checkpoint with random weights whose box head accepts every box.

`python benchmarks/every_box.py FILE.pth`. With plain random weights a model detects nothing, and
its masks are never computed. This one fills every detection slot: the most that a picture costs.
"""

from __future__ import annotations

import sys

import torch

from lvt.models import build_random, default_spec
from lvt.panoptic.model import LVTPanoptic

model = build_random(default_spec("panoptic"))
assert isinstance(model, LVTPanoptic)
with torch.no_grad():
    model.roi_head.bbox_head.fc_cls.bias[0] = 6.0
torch.save(model.state_dict(), sys.argv[1])
