"""Checks of values that come from files, before anything is built or allocated from them."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from lvt.errors import UserError


def whole_number(value: object, what: str, least: int, most: int) -> int:
    """Returns `value` if it is an integer from `least` to `most`.

    Raises:
        UserError: it is not; `what` names the value in the message.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UserError(f"{what} is {_shown(value)}, not a whole number from {least} to {most}")
    return value


def number(value: object, what: str, least: float, most: float) -> float:
    """Returns `value` if it is a finite number from `least` to `most`.

    Raises:
        UserError: it is not; `what` names the value in the message.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not least <= value <= most:  # type: ignore[arg-type, operator]
        raise UserError(f"{what} is {_shown(value)}, not a number from {least:g} to {most:g}")
    return value  # type: ignore[return-value]


def _shown(value: object) -> str:
    """A short text for a value of any type and size."""
    text = repr(value) if isinstance(value, (int, float, str)) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}..."


def json_text(value: Any) -> str:
    """Indented JSON that every parser reads: NaN and infinity, which JSON lacks, become null.

    The SQNR of equal outputs is infinite, for example.
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
        ValueError: the text is not JSON, is nested too deeply, or contains lone surrogates, which
            can be neither printed nor written.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if re.search(r"\\u[dD][89a-fA-F]", text):
        json.dumps(content, ensure_ascii=False).encode()
    return content


def is_text(value: object) -> bool:
    """Whether the value is a string without lone surrogates, which can be printed and written."""
    return isinstance(value, str) and value.encode(errors="replace").decode() == value
