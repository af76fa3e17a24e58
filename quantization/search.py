"""What each block costs in int8, measured on the simulated model, and which to keep in float."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from quantization.calibrated_model import CalibratedModel, Progress


@dataclass(frozen=True)
class BlockSensitivity:
    """One block quantized alone.

    Attributes:
        sqnr_db: of the model's outputs, everything else in float.
    """

    block: str
    sqnr_db: float


def measure(
    study: CalibratedModel, progress: Progress = lambda _step: None
) -> list[BlockSensitivity]:
    """Every block alone in int8, in the order of execution."""
    names = study.blocks
    found = []
    for index, block in enumerate(names, start=1):
        progress(f"sensitivity: block {index} of {len(names)}")
        others = [name for name in names if name != block]
        found.append(BlockSensitivity(block, study.sqnr(others, of=block)))
    return found


def by_sensitivity(sensitivities: Iterable[BlockSensitivity]) -> list[BlockSensitivity]:
    """The most sensitive first."""
    return sorted(sensitivities, key=lambda s: s.sqnr_db)


def minimize_float_blocks(
    sensitivities: list[BlockSensitivity], within: Callable[[list[str]], bool]
) -> list[str]:
    """The fewest blocks, most sensitive first, that must stay float to be within the budget.

    Halving the interval takes it that one more block in float does not harm; the result is checked
    by the caller where it counts, in the written file.

    Args:
        sensitivities: of all blocks.
        within: whether the budget is met with these blocks in float.
    """
    order = [s.block for s in by_sensitivity(sensitivities)]
    if within([]):
        return []
    low, high = 0, len(order)  # `low` blocks are too few, `high` enough
    while high - low > 1:
        middle = (low + high) // 2
        if within(order[:middle]):
            high = middle
        else:
            low = middle
    return order[:high]
