"""The float reference of an artifact."""

from __future__ import annotations

from pathlib import Path

from export.artifact.reader import Artifact
from export.reference import reference_session
from export.session import Session
from lvt.checkpoint import load_model, read_checkpoint
from lvt.demo import DEMO_CHECKPOINT, checkpoint_path
from lvt.errors import UserError
from lvt.models import build_random
from lvt.support.files import file_sha256


def find_reference(artifact: Artifact, checkpoint: Path | None) -> Session | None:
    """The reference with the artifact's weights.

    Args:
        artifact: the artifact.
        checkpoint: the file it was made from, or `demo`. Not needed for the demonstration model
            and for random weights.

    Returns:
        None if the weights are unknown.

    Raises:
        UserError: the artifact was made from another checkpoint.
    """
    source = artifact.manifest["source"]
    if source["sha256"] is None and checkpoint is None:
        return reference_session(build_random(artifact.spec), artifact.spec)
    if checkpoint is None:
        if source["sha256"] != file_sha256(DEMO_CHECKPOINT):
            return None
        checkpoint = DEMO_CHECKPOINT
    path = checkpoint_path(checkpoint)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}")
    if source["sha256"] != file_sha256(path):
        raise UserError(
            f"{artifact.path.name} was not made from {path.name} (SHA-256 differs); give its own "
            "checkpoint with --ckpt"
        )
    loaded = read_checkpoint(path, ema=bool(source["ema"]))
    return reference_session(load_model(loaded, artifact.spec), artifact.spec)
