"""Operator families: common names for the operators of all runtimes."""

from __future__ import annotations

import re

LAYOUT = "layout changes"
CONVERSION = "type conversions"
OTHER = "other"
BETWEEN = "between operators"
"""Time outside all operators; not a family."""

_PATTERNS: tuple[tuple[str, str], ...] = (
    ("convolutions", r"conv(?!ert)"),
    ("matrix products", r"mat ?mul|gemm|matrix multiply|fully ?connected|\bb?mm\b"),
    (CONVERSION, r"\bcast\b|quantize|convert|to dim order|to copy"),
    (
        LAYOUT,
        r"transpose|permute|reorder|reshape|\bview\b|squeeze|flatten"
        r"|depth ?to ?space|space ?to ?depth|pixel (un)?shuffle",
    ),
    (OTHER, r"top ?k|arg ?max|non ?max|roi ?align"),
    ("resizing and pooling", r"resize|upsample|pool"),
    ("softmax, norms, sums", r"softmax|norm|reduce|\bmean\b|\bsum\b"),
    (
        # XNNPACK concatenates maps with copies.
        "slices, joins, copies",
        r"slice|split|concat|\bcat\b|\bpad\b|gather|select|embedding|copy|expand|tile|pack",
    ),
    (
        "elementwise",
        r"add|sub|mul|div|square|root|sqrt|abs|neg|ceil|floor|round|exp|log|pow|min|max|clamp|clip"
        r"|lu\b|unary|sigmoid|tanh|erf|where|equal|less|greater",
    ),
)
"""Families with a pattern for their types, in lower case with spaces for punctuation.

The first match applies."""

FAMILIES: tuple[str, ...] = (*dict.fromkeys(name for name, _ in _PATTERNS if name != OTHER), OTHER)


def family(operator_type: str) -> str:
    """The family of an operator type, one of FAMILIES."""
    words = re.sub(r"[^a-z0-9]+", " ", operator_type.lower())
    return next((name for name, pattern in _PATTERNS if re.search(pattern, words)), OTHER)
