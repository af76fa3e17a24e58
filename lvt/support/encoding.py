"""Output of characters that the encoding of a terminal or pipe does not have."""

from __future__ import annotations

import codecs
import io
import sys

ESCAPE_UNENCODABLE = "lvt-escaped"
"""Name of the error handler that `escape_unencodable_output` registers."""


def escape_unencodable_output() -> None:
    """Makes stdout and stderr escape the characters that their encodings do not have.

    Pipes and old terminals often have encodings without the characters of many names.
    """
    codecs.register_error(ESCAPE_UNENCODABLE, _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPE_UNENCODABLE)


def _escape(error: UnicodeError) -> tuple[str, int]:
    """The characters as JSON escapes them, so that JSON output stays valid."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end


def printable_line(text: str) -> str:
    """The text on one line, with escapes for the characters that a terminal does not print."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in " ".join(text.split())
    )
