"""Exact, weight-preserving replacements of reference modules by export-friendly and fast ones.

A rewrite is one function, registered for a reference module type. `rewrite(model)` returns a new
model in which every module with a registered function is replaced; the rest is copied. Nothing is
approximated: outputs agree with the reference to floating-point rounding, in any precision.
"""

from export.rewrite import classification, csa, mlp, rasa, segformer  # noqa: F401  (they register)
from export.rewrite.registry import registered, rewrite

__all__ = ["registered", "rewrite"]
