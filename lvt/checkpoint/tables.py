"""Prints the tables of docs/checkpoints.md; a test compares them with the page."""

from __future__ import annotations

from lvt.checkpoint.containers import CONTAINERS
from lvt.checkpoint.normalize import LEFTOVERS


def containers_table() -> str:
    """Markdown table with one row for each container."""
    rows = ["| container | written by | weights | averaged weights (`--ema`) | also read |"]
    rows.append("|---|---|---|---|---|")
    for container in CONTAINERS:
        weights, averaged = (
            ", ".join(f"`{key}`" for key in keys) for keys in (container.weights, container.ema)
        )
        rows.append(
            f"| {container.name} | {container.writer} | {weights} | {averaged or '-'} | "
            f"{container.extras or '-'} |"
        )
    return "\n".join(rows)


def leftovers_table() -> str:
    """Markdown table with one row for each kind of ignored entries."""
    rows = ["| entries | what they are |", "|---|---|"]
    for kind in LEFTOVERS:
        pattern = kind.pattern.replace("|", "\\|")
        description = kind.description or "never used; in official checkpoints"
        rows.append(f"| `{pattern}` | {description} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(containers_table(), leftovers_table(), sep="\n\n")
