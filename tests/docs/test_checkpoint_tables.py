"""docs/checkpoints.md lists what the code knows, made by `python -m lvt.checkpoint.tables`."""

from __future__ import annotations

from pathlib import Path

from lvt.checkpoint.tables import containers_table, leftovers_table

PAGE = Path(__file__).parents[2] / "docs" / "checkpoints.md"


def test_the_page_has_the_tables_of_the_code() -> None:
    text = PAGE.read_text("utf-8")
    assert containers_table() in text
    assert leftovers_table() in text
