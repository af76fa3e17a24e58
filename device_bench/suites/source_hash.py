"""A hash of source code that comments, docstrings and blank lines do not change.

Records contain it, so that a page can say whether its figures are older than the code. It does not
depend on the version of Python.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path


def source_sha256(root: Path, paths: Iterable[str]) -> str:
    """Hash of the names and the code of Python files.

    Args:
        root: the checkout.
        paths: files and folders, relative to `root`.

    Raises:
        FileNotFoundError: a path does not exist.
    """
    digest = hashlib.sha256()
    files = {file for path in paths for file in _python_files(root / path)}
    for file in sorted(files):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0")
        digest.update(code_of(file.read_text("utf-8")).encode() + b"\0")
    return digest.hexdigest()


def _python_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from path.rglob("*.py")
    else:
        raise FileNotFoundError(path)


def code_of(source: str) -> str:
    """The lines of a module without comments, docstrings and blank lines."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        for first, last in _docstring_lines(node):
            lines[first - 1 : last] = [""] * (last - first + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _docstring_lines(node: ast.AST) -> Iterator[tuple[int, int]]:
    """First and last lines of the bare strings in a body: docstrings, also those of constants."""
    body = getattr(node, "body", None)
    for statement in body if isinstance(body, list) else ():  # a lambda's body is an expression
        if (
            isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        ):
            yield statement.lineno, statement.end_lineno or statement.lineno
