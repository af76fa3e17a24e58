"""The tables of docs/checkpoints.md, from what the code knows; a test compares them."""

from __future__ import annotations

from lvt.checkpoint.containers import CONTAINERS, LEFTOVERS


def containers_table() -> str:
    """One row for each container, as Markdown."""
    rows = ["| container | written by | weights | averaged weights (`--ema`) | also read |"]
    rows.append("|---|---|---|---|---|")
    for known in CONTAINERS:
        weights, averaged = (
            ", ".join(f"`{key}`" for key in keys) for keys in (known.weights, known.ema)
        )
        rows.append(
            f"| {known.name} | {known.writer} | {weights} | {averaged or '-'} | "
            f"{known.extras or '-'} |"
        )
    return "\n".join(rows)


def leftovers_table() -> str:
    """One row for each kind of entry that is set aside, as Markdown."""
    rows = ["| entries | what they are |", "|---|---|"]
    for known in LEFTOVERS:
        pattern = known.pattern.replace("|", "\\|")
        rows.append(f"| `{pattern}` | {known.what or 'never used; in official checkpoints'} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(containers_table(), leftovers_table(), sep="\n\n")
