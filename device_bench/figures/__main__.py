"""`python -m device_bench.figures`: write the figures of README and docs from the records."""

from __future__ import annotations

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
    """Write the figures of README and docs from the records in benchmarks/results.

    Blocks whose suite has no record keep their content. Nothing is measured.
    """
    with command(verbose) as terminal:
        from device_bench.figures.render import pages, render_page
        from device_bench.figures.store import RecordStore
        from device_bench.suites.suite import ROOT
        from lvt.support.files import write_text

        store, failed = RecordStore(), False
        for page in pages():
            name, text = page.relative_to(ROOT), page.read_text("utf-8")
            try:
                rendered = render_page(text, store)
            except UserError as error:
                raise UserError(f"{name}: {error}") from error
            if rendered.missing:
                terminal.note(f"{name}: no record of {', '.join(rendered.missing)}")
            if rendered.stale:
                terminal.note(f"{name}: stale: {', '.join(rendered.stale)}")
            if rendered.text != text:
                if not check:
                    write_text(page, rendered.text)
                typer.echo(f"{name}: {'would change' if check else 'written'}")
            failed |= check and (rendered.text != text or bool(rendered.stale))
        if failed:
            raise typer.Exit(FAILED)


if __name__ == "__main__":
    app()
