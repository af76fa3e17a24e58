"""Creates the Typer applications of all commands with the same settings."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from lvt.support.options import Version


class DefaultCommand(TyperGroup):
    """A group of subcommands; without a subcommand's name, the first one runs."""

    @property
    def _default(self) -> str:
        return next(iter(self.commands))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Inserts the name of the default command unless `args` begins with a command."""
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage of the default command, followed by a placeholder for the other commands."""
        return [*self.commands[self._default].collect_usage_pieces(ctx), "| COMMAND ..."]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The arguments and options of the default command, then the list of commands."""
        self.commands[self._default].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def new_app(help_text: str | None = None, *, group: type[TyperGroup] | None = None) -> typer.Typer:
    """A Typer application with the settings that all commands share.

    Args:
        help_text: help of an application with several subcommands; None for a single command,
            whose help is the docstring of its function.
        group: class of the group of subcommands, such as `DefaultCommand`.
    """
    app = typer.Typer(
        cls=group,
        help=help_text,
        no_args_is_help=help_text is not None,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    if help_text is not None and group is None:

        @app.callback()
        def add_version_option(version: Version = False) -> None:
            pass

    return app
