"""What stands in files, checked before anything is built, allocated or printed from it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

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


def json_text(value: Any) -> str:
    """Indented JSON that every parser reads; numbers that are none become null.

    Such are the SQNR of equal outputs, and the error of one that had none to compare with.
    """
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parse_json(text: str) -> Any:
    """The content of a JSON text.

    Raises:
        ValueError: it is none, is nested beyond all reason, or holds halves of characters, which
            could be neither printed nor written.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if re.search(r"\\u[dD][89a-fA-F]", text):
        json.dumps(content, ensure_ascii=False).encode()
    return content


def is_text(value: object) -> bool:
    """Whether it is a string that can be printed and written: one without halves of characters."""
    return isinstance(value, str) and value.encode(errors="replace").decode() == value
