"""HTML and SVG from plain Python, with every text escaped by construction."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_VOID = ("img", "meta")
"""Elements that HTML does not close."""


class Markup(str):
    """Text that is markup already; any other text is escaped."""

    __slots__ = ()


def element(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """One element.

    Args:
        name: of the element.
        children: markup as it is, other text escaped, None left out.
        attributes: `_` stands for `-`, a trailing one (`class_`) is dropped; None leaves one out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(*children)}</{name}>")


def join(*parts: str | None) -> Markup:
    """Parts in a row, escaped like children of an element."""
    return Markup(
        "".join(
            part if isinstance(part, Markup) else escape(part) for part in parts if part is not None
        )
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table that turns into one block a row where it is narrow, by the page's style sheet."""
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
