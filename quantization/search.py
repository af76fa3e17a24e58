"""Measures what each block loses in int8, and finds the blocks that must stay float."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lvt.support.progress import Progress, no_progress
from quantization.calibrated_model import CalibratedModel


@dataclass(frozen=True)
class BlockSensitivity:
    """The loss of one block.

    Attributes:
        block: its name.
        sqnr_db: of the model's outputs, with this block in int8 and everything else in float.
    """

    block: str
    sqnr_db: float


def measure_sensitivities(
    calibrated: CalibratedModel, progress: Progress = no_progress
) -> list[BlockSensitivity]:
    """The sensitivity of every block, in execution order."""
    sensitivities = []
    for index, block in enumerate(calibrated.blocks, start=1):
        progress(f"sensitivity: block {index} of {len(calibrated.blocks)}")
        sensitivities.append(BlockSensitivity(block, calibrated.block_sqnr(block)))
    return sensitivities


def by_sensitivity(sensitivities: Iterable[BlockSensitivity]) -> list[BlockSensitivity]:
    """The most sensitive block first."""
    return sorted(sensitivities, key=lambda s: s.sqnr_db)


def minimize_float_blocks(
    sensitivities: list[BlockSensitivity], meets_budget: Callable[[list[str]], bool]
) -> list[str]:
    """The fewest blocks, most sensitive first, that must stay float to meet the budget.

    The bisection assumes that one more block in float never harms. The caller checks the result
    in the written file. All blocks are returned if no number of them meets the budget.

    Args:
        sensitivities: of all blocks.
        meets_budget: whether the budget is met with these blocks in float.
    """
    order = [s.block for s in by_sensitivity(sensitivities)]
    if meets_budget([]):
        return []
    too_few, enough = 0, len(order)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if meets_budget(order[:middle]):
            enough = middle
        else:
            too_few = middle
    return order[:enough]
