"""docs/checkpoints.md contains the tables that `python -m lvt.checkpoint.tables` prints."""

from __future__ import annotations

from pathlib import Path

from lvt.checkpoint.tables import containers_table, leftovers_table

PAGE = Path(__file__).parents[2] / "docs" / "checkpoints.md"


def test_page_has_the_generated_tables() -> None:
    text = PAGE.read_text("utf-8")
    assert containers_table() in text
    assert leftovers_table() in text
