"""The tutorial's commands on a tiny model, with small pictures and short measurements."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from lvt.checkpoint import CheckpointMeta, write_checkpoint
from lvt.data.images import packaged_photos, read_image
from lvt.models import build_random
from tests.docs.command_lines import scripts
from tests.docs.pages import ROOT, commands
from tests.helpers.artifact_fixtures import TINY_SEMANTIC

SIZE, SMALL = "352x480", "64x96"
"""Input size in the tutorial, and in the test: 352x480 would take minutes."""

SHORTENED = {
    "lvt-bench": ("--runs", "4", "--min-seconds", "0"),
    "lvt-quantize": ("--method", "mse"),  # one method instead of all four
}
"""Options that are added to a script's commands."""

EXPECTED = ["lvt-export", "lvt-run", *["lvt-eval"] * 2, "lvt-quantize", "lvt-eval", "lvt-bench"]
"""The scripts of `runnable_commands`, so that none is left out by mistake."""


def write_inputs(folder: Path) -> None:
    """Write the files that the commands name."""
    # A safetensors file named .pth: the format is detected by content. It stores no input size,
    # like the official containers.
    meta = CheckpointMeta(("red", "green", "blue"))
    model = build_random(TINY_SEMANTIC, seed=5)
    write_checkpoint(folder / "my_segformer.pth", model, TINY_SEMANTIC, meta)
    photos = packaged_photos()
    shutil.copy(photos[0], folder / "photo.jpg")
    for name in ("photos", "val/images", "val/masks"):
        (folder / name).mkdir(parents=True)
    for photo in photos:
        shutil.copy(photo, folder / "photos")
    height, width = read_image(photos[1]).shape[:2]
    shutil.copy(photos[1], folder / "val/images/a.jpg")
    mask = (np.arange(height * width).reshape(height, width) % 3).astype(np.uint8)
    Image.fromarray(mask).save(folder / "val/masks/a.png")


def runnable_commands() -> list[tuple[str, ...]]:
    """Return script and arguments of our commands in order, without those that need a phone."""
    return [
        (*(word.replace(SIZE, SMALL) for word in words), *SHORTENED.get(words[0], ()))
        for words in (command.words for command in commands(ROOT / "docs" / "tutorial.md"))
        if words[0] in scripts() and not _needs_a_phone(words)
    ]


def check_outputs(folder: Path) -> None:
    """Check that the last files of the tutorial were written."""
    assert (folder / "out/my_segformer_semantic_64x96_int8.onnx").is_file()
    for file in ("overlay.png", "results.json", "report.html"):
        assert (folder / file).stat().st_size > 1000


def _needs_a_phone(words: tuple[str, ...]) -> bool:
    return "serve" in words or "--backend" in words or "--android" in words
