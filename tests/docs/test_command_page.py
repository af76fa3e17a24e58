"""docs/cli.md lists every option of every command."""

from __future__ import annotations

from device_bench.figures.command_page import PAGE, command_page
from tests.docs.command_lines import options, scripts


def test_the_page_is_generated_from_the_commands() -> None:
    assert PAGE.read_text("utf-8") == command_page(), "run make figures"


def test_no_option_is_missing() -> None:
    """A table that leaves out subcommands would pass the comparison above."""
    text = command_page()
    for script in scripts():
        section = text.split(f"\n## `{script}`\n")[1].split("\n## ")[0]
        common = {"--help", "-h", "--verbose", "-v", "--version"}
        absent = [option for option in options(script) - common if option not in section]
        assert not absent, (script, absent)
