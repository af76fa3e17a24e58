"""A session of the reference model, for any task."""

from __future__ import annotations

from torch import nn

from export.panoptic.session import PanopticReferenceSession
from export.session import Session, TorchSession
from lvt.models import ModelSpec
from lvt.panoptic.model import LVTPanoptic


def reference_session(model: nn.Module, spec: ModelSpec) -> Session:
    """Runs the reference; a panoptic model within the limits of `spec`."""
    if spec.panoptic is not None:
        assert isinstance(model, LVTPanoptic)
        return PanopticReferenceSession(model, spec.panoptic)
    return TorchSession(model, spec)
