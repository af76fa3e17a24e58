"""`python -m device_bench.figures`: write the generated parts of README and docs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import FAILED, command
from lvt.support.options import Verbose

app = new_app()


@app.command()
def figures(
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; exit with 1 if a page would change, or is stale."
        ),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Write the figures of README and docs from the records in benchmarks/results, and docs/cli.md.

    Blocks whose suite has no record keep their content. Nothing is measured.
    """
    with command(verbose) as terminal:
        from device_bench.figures.command_page import PAGE, command_page
        from device_bench.figures.render import pages, render_page
        from device_bench.figures.store import RecordStore
        from device_bench.suites.suite import ROOT
        from lvt.support.files import write_text

        store, contents, stale = RecordStore(), dict[Path, str](), False
        for page in pages():
            name = page.relative_to(ROOT)
            try:
                rendered = render_page(page.read_text("utf-8"), store)
            except UserError as error:
                raise UserError(f"{name}: {error}") from error
            if rendered.missing:
                terminal.note(f"{name}: no record of {', '.join(rendered.missing)}")
            if rendered.stale:
                terminal.note(f"{name}: stale: {', '.join(rendered.stale)}")
            contents[page] = rendered.text
            stale |= bool(rendered.stale)
        contents[PAGE] = command_page()
        changed = [
            page
            for page, text in contents.items()
            if not page.is_file() or page.read_text("utf-8") != text
        ]
        for page in changed:
            if not check:
                write_text(page, contents[page])
            typer.echo(f"{page.relative_to(ROOT)}: {'would change' if check else 'written'}")
        if check and (changed or stale):
            raise typer.Exit(FAILED)


if __name__ == "__main__":
    app()
