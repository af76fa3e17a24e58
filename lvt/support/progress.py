"""Types of the callbacks through which long operations report how far they are.

The functions that do the work take one of these, so that they know nothing of terminals.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Called with the name of each step when the step begins."""


def no_progress(_step: str) -> None:
    """A `Progress` that shows nothing."""


CountedProgress = Callable[[int, int], None]
"""Called after each item with the number of finished items and the number of all items."""
