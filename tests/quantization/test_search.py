"""The search for the fewest blocks in float."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quantization.search import BlockSensitivity, by_sensitivity, minimize_float_blocks

SQNRS = st.lists(st.floats(5, 60), min_size=1, max_size=20, unique=True)


def blocks(sqnrs: list[float]) -> list[BlockSensitivity]:
    return [BlockSensitivity(f"b{index}", sqnr) for index, sqnr in enumerate(sqnrs)]


@given(SQNRS, st.integers(0, 20))
def test_no_more_than_needed_and_the_most_sensitive(sqnrs: list[float], needed: int) -> None:
    """Whatever number of blocks the budget takes, that many are kept, the worst first."""
    needed = min(needed, len(sqnrs))
    tried: list[int] = []

    def meets_budget(kept: list[str]) -> bool:
        tried.append(len(kept))
        return len(kept) >= needed

    order = [s.block for s in by_sensitivity(blocks(sqnrs))]
    assert minimize_float_blocks(blocks(sqnrs), meets_budget) == order[:needed]
    assert len(tried) <= 6  # halving, not one by one


def test_a_budget_that_nothing_meets_keeps_everything_in_float() -> None:
    assert minimize_float_blocks(blocks([20.0, 10.0]), lambda _kept: False) == ["b1", "b0"]
