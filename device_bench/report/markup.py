"""Builds HTML and SVG; every plain string is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_VOID_ELEMENTS = ("img", "meta")
"""Elements without a closing tag in HTML."""


class Markup(str):
    """A string that is already markup. Any other string is escaped when it becomes a child."""

    __slots__ = ()


def element(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """Create an element.

    Args:
        name: of the element.
        children: markup is kept, other text is escaped, None is left out.
        attributes: `_` becomes `-`; a trailing `_` (as in `class_`) is dropped; an attribute with
            the value None is left out.
    """
    attribute_text = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID_ELEMENTS:
        return Markup(f"<{name}{attribute_text}>")
    return Markup(f"<{name}{attribute_text}>{join(*children)}</{name}>")


def join(*parts: str | None) -> Markup:
    """Concatenate parts, escaped like the children of an element."""
    return Markup(
        "".join(
            part if isinstance(part, Markup) else escape(part) for part in parts if part is not None
        )
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Create a table; the style sheet shows each row as a block on narrow screens."""
    head = element("tr", *(element("th", heading, scope="col") for heading in headings))
    body = [
        element(
            "tr",
            *(
                element("td", element("span", cell), data_label=heading)
                for heading, cell in zip(headings, row, strict=True)
            ),
        )
        for row in rows
    ]
    return element("table", element("thead", head), element("tbody", *body))
