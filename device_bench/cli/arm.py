"""`lvt-bench arm`: the former name of `lvt-verify --on arm`."""

from __future__ import annotations

from export.cli.verify import (
    ArtifactFiles,
    CpuNames,
    PictureCount,
    PictureFolder,
    ReferenceCheckpoint,
    verify_on_arm,
)
from lvt.support.command import command
from lvt.support.options import AsJson, Verbose


def arm(
    artifacts: ArtifactFiles = None,
    cpu: CpuNames = None,
    ckpt: ReferenceCheckpoint = None,
    images: PictureFolder = None,
    pictures: PictureCount = 4,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Former name of `lvt-verify --on arm`: run artifacts on emulated phone processors."""
    with command(verbose) as terminal:
        terminal.note("note: lvt-bench arm is now lvt-verify --on arm")
        verify_on_arm(terminal, artifacts or [], cpu, ckpt, images, pictures, as_json=as_json)
