"""Parts of error messages and notes."""

from __future__ import annotations

from collections.abc import Sequence


def summarize_names(names: Sequence[str], limit: int = 4) -> str:
    """The first `limit` names, and the number of the others."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
