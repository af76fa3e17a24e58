"""The class-attention post stage keeps its linear layers: its MLP sees one token, not a map."""

from __future__ import annotations

import copy

from torch import nn

from export.rewrite.registry import register
from lvt.classification import ClassBlock


@register(ClassBlock)
def keep_class_block(reference: ClassBlock) -> nn.Module:
    """A copy; without this entry its `Mlp` would be rewritten for NHWC maps."""
    return copy.deepcopy(reference)
