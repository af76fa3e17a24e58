"""Which of the exporter's rewrite rules run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from onnxscript import rewriter

_RULES = "_DEFAULT_REWRITE_RULES"


@contextmanager
def linear_rewrite_rules() -> Iterator[None]:
    """Leaves out rules whose time grows with the square of the graph.

    A rule for a pattern of several outputs lists the whole graph again at every node; on an int8
    graph that takes half of the conversion. There is one, which merges two slices to a split, and
    no model here has a place for it.
    """
    rules = getattr(rewriter, _RULES)
    setattr(rewriter, _RULES, tuple(rule for rule in rules if _has_one_output(rule)))
    try:
        yield
    finally:
        setattr(rewriter, _RULES, rules)


def _has_one_output(rule: rewriter.RewriteRule) -> bool:
    return bool(rule._target_pattern.has_single_output_node)
