"""Parts of the pages that tests check: command lines, code blocks and inline code.

Parses Markdown only; `command_lines` checks the commands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "android_demo" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


@dataclass(frozen=True)
class Command:
    """One command line of a fenced block, without its comment.

    Attributes:
        line: line number in the page, from 1.
        words: the words as a shell splits them; the first is the program.
    """

    page: Path
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: {' '.join(self.words)}"


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of the fenced blocks of a language."""
    text = page.read_text("utf-8")
    for match in _FENCE.finditer(text):
        if match[1] == language:
            yield text.count("\n", 0, match.start()) + 2, match[2]


def commands(page: Path) -> list[Command]:
    """Return the command lines of the `sh` and `console` blocks; a pipe gives one for each command.

    In a `console` block, commands begin with a dollar sign, and the other lines are output.
    """
    result = []
    for first, text in (*blocks(page, "sh"), *blocks(page, "console")):
        lines = text.split("\n")
        if text.startswith("$ "):
            lines = [line.removeprefix("$ ") if line.startswith("$ ") else "" for line in lines]
        start = 0
        while start < len(lines):
            end = start
            while lines[end].endswith("\\"):
                end += 1
            joined = " ".join(line.removesuffix("\\") for line in lines[start : end + 1])
            for words in _split(joined):
                result.append(Command(page, first + start, words))
            start = end + 1
    return result


def _split(line: str) -> Iterator[tuple[str, ...]]:
    words: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.commenters = "#"
    lexer.whitespace_split = True
    for word in [*lexer, "|"]:
        if set(word) <= set("|&;"):
            if words:
                yield tuple(words)
            words = []
        else:
            words.append(word)


def inline_code(page: Path) -> list[str]:
    """Return the text between single backticks; line breaks become spaces."""
    prose = _FENCE.sub("", page.read_text("utf-8"))
    return [" ".join(match[1].split()) for match in _INLINE.finditer(prose)]
