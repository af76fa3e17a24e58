"""Commands of README and docs: all of them are parsed, those of the tutorial are run.

The tutorial's `lvt-` commands, except those that need a phone, run on a tiny model with a small
input size, short measurements and one range method. All other commands are parsed by their own
parsers, including options and values, without running them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from export.artifact.reader import open_artifact
from tests.docs.command_lines import NotRunnableError, application, check, options, scripts
from tests.docs.pages import PAGES, ROOT, commands, inline_code
from tests.docs.tutorial import EXPECTED, check_outputs, runnable_commands, write_inputs

FOREIGN_OPTIONS = frozenset(
    {
        *("--editable", "--group", "--python", "--seed", "--torch-backend"),
        *("--omit-lockfile-registry-resolved", "--package-lock-only"),
        "--es",
    }
)
"""Options of pip and uv, of npm, and of Android's `am` that pages mention in prose."""

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@by_page
def test_every_command_parses(page: Path) -> None:
    """A renamed option would give readers an error."""
    bad = []
    for command in commands(page):
        try:
            check(command.words)
        except NotRunnableError as error:
            bad.append(f"{command}: {error}")
    assert not bad, "\n".join(bad)


@by_page
def test_every_option_in_prose_exists(page: Path) -> None:
    everywhere = frozenset().union(*(options(script) for script in scripts())) | FOREIGN_OPTIONS
    bad = []
    for code in inline_code(page):
        first, *rest = code.split()
        known = options(first) if first in scripts() else everywhere
        words = [
            word.partition("=")[0].rstrip(",;:") for word in (first, *rest) if word.startswith("--")
        ]
        bad += [f"{word} in `{code}`" for word in words if word not in known]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    "line",
    [
        "lvt-export onnxx --ckpt a.pth",
        "lvt-export onnx --no-such-option",
        "lvt-export onnx --ckpt",
        "lvt-export onnx --size wide",
        "lvt-export onnx --task dancing",
        "lvt-run model.onnx",
        "lvt-bench a.onnx --backend abacus",
        "lvt-bench compare before.json",
        "lvt-fly",
        "make no-such-target",
        "pip install 'lvt-mobile[none]'",
        "pytest tests/nowhere.py",
        "python -m lvt.nothing",
        "python nowhere.py",
        "rocket --launch",
    ],
)
def test_invalid_commands_are_detected(line: str, tmp_path: Path) -> None:
    """A check that accepts everything would hide errors in the pages."""
    page = tmp_path / "page.md"
    page.write_text(f"```sh\n{line}   # comment\n```\n", "utf-8")
    (command,) = commands(page)
    with pytest.raises(NotRunnableError):
        check(command.words)


def test_continued_and_piped_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nlvt-run a.onnx \\\n  b.jpg  # c\n\necho '{\"a\": 1}' |\n  cat -\n```\n")
    assert [(command.line, command.words) for command in commands(page)] == [
        (2, ("lvt-run", "a.onnx", "b.jpg")),
        (5, ("echo", '{"a": 1}')),
        (6, ("cat", "-")),
    ]


@pytest.mark.slow
def test_the_tutorial_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The commands run in order in one folder; each uses the files of the ones before."""
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    ran = []
    for script, *arguments in runnable_commands():
        with pytest.raises(SystemExit) as caught:
            application(script)(arguments)
        assert not caught.value.code, f"{script} {arguments}\n{capfd.readouterr().err}"
        ran.append(script)
    assert ran == EXPECTED
    check_outputs(tmp_path)
    assert open_artifact(Path("out/my_segformer_semantic_64x96_int8.onnx")).size == (64, 96)
