"""Numbers from files, checked before anything is built or allocated from them."""

from __future__ import annotations

import math

from lvt.errors import UserError


def whole_number(value: object, what: str, least: int, most: int) -> int:
    """The value itself.

    Raises:
        UserError: not an integer in the range; `what` names it.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UserError(f"{what} is {_shown(value)}, not a whole number from {least} to {most}")
    return value


def number(value: object, what: str, least: float, most: float) -> float:
    """The value itself.

    Raises:
        UserError: not a finite number in the range; `what` names it.
    """
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not plain or not math.isfinite(value) or not least <= value <= most:  # type: ignore[arg-type, operator]
        raise UserError(f"{what} is {_shown(value)}, not a number from {least:g} to {most:g}")
    return value  # type: ignore[return-value]


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, (int, float, str)) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}..."
