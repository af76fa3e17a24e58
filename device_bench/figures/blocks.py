"""The marked blocks of a page, whose content comes from records.

A block begins with the comment `figures: KIND SUITE STEPS` and ends with the comment `/figures`.
Steps are names or patterns such as `latency-*`; without any, all steps of the suite are shown. If
several machines have a record of the suite, it is written as `SUITE@MACHINE`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from lvt.errors import UserError

_BLOCK = re.compile(
    r"^<!-- figures: (?P<words>[^\n]+) -->\n(?P<content>.*?)^<!-- /figures -->$",
    re.MULTILINE | re.DOTALL,
)
_MARKER = re.compile(r"^<!-- /?figures\b", re.MULTILINE)
STALE_MARK = "**Stale:**"
_STALE = re.compile(rf"^{re.escape(STALE_MARK)}[^\n]*\n\n", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block of a page.

    Attributes:
        kind: of the table.
        suite: name of the suite.
        machine: None: the only machine with a record.
        patterns: of step names; empty: all steps.
        content: the lines between the markers.
    """

    kind: str
    suite: str
    machine: str | None
    patterns: tuple[str, ...]
    content: str

    @classmethod
    def parse(cls, words: str, content: str) -> Block:
        """A block from the words of its first marker.

        Raises:
            UserError: kind or suite is missing.
        """
        match words.split():
            case [kind, suite, *patterns]:
                name, _, machine = suite.partition("@")
                return cls(kind, name, machine or None, tuple(patterns), content)
        raise UserError(f"a block of figures is 'figures: KIND SUITE STEPS', not '{words}'")


def replace_blocks(text: str, content_of: Callable[[Block], str]) -> str:
    """The text of a page with new content in each block; the rest stays as it is.

    Raises:
        UserError: a block is not closed, or has no kind or suite.
    """
    count = 0

    def replaced(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        content = content_of(Block.parse(match["words"], match["content"]))
        return f"<!-- figures: {match['words']} -->\n{content}<!-- /figures -->"

    result = _BLOCK.sub(replaced, text)
    if 2 * count != len(_MARKER.findall(text)):
        raise UserError("a block of figures has no end, or an end has no block")
    return result


def without_stale_marks(text: str) -> str:
    """The text of a page without the lines that call figures stale.

    Every change of code would otherwise have to be committed together with all pages.
    """
    return _STALE.sub("", text)
