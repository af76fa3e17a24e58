"""Operators of all runtimes under common names, so that their times can be compared."""

from __future__ import annotations

import re

LAYOUT = "layout changes"
CONVERSION = "type conversions"
OTHER = "other"
BETWEEN = "between operators"
"""What no operator accounts for; no family."""

_WORDS: tuple[tuple[str, str], ...] = (
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
        "slices, joins, copies",
        r"slice|split|concat|\bcat\b|\bpad\b|gather|select|embedding|copy|expand|tile|pack",
    ),
    (
        "elementwise",
        r"add|sub|mul|div|square|root|sqrt|abs|neg|ceil|floor|round|exp|log|pow|min|max|clamp|clip"
        r"|lu\b|unary|sigmoid|tanh|erf|where|equal|less|greater",
    ),
)
"""Family and what its types look like in lower case, with spaces for punctuation; the first that
fits. Copies are how XNNPACK joins maps."""

FAMILIES: tuple[str, ...] = (*dict.fromkeys(name for name, _ in _WORDS if name != OTHER), OTHER)


def family(operator_type: str) -> str:
    """One of FAMILIES."""
    words = re.sub(r"[^a-z0-9]+", " ", operator_type.lower())
    return next((name for name, pattern in _WORDS if re.search(pattern, words)), OTHER)
