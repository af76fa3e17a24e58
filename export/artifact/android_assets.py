"""Artifacts in an Android app's assets, where `android_demo`'s `Shelf` looks for them.

Knows where a Gradle project keeps its assets, and nothing of what is in a model.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from export.artifact.files import manifest_path, publish_artifact
from export.artifact.reader import open_artifact
from lvt.errors import UserError
from lvt.support.files import atomic_folder

MODELS = "models"
"""The folder within the assets; `AppFiles.kt` names it too."""
_MAIN = Path("src", "main")


def models_folder(app: Path) -> Path:
    """Where an app keeps its artifacts; it need not be there yet.

    Args:
        app: a Gradle project with a module `app`, such as `android_demo`, or that module.

    Raises:
        UserError: it is neither.
    """
    for module in (app / "app", app):
        if (module / _MAIN / "AndroidManifest.xml").is_file():
            return module / _MAIN / "assets" / MODELS
    raise UserError(
        f"--android {app}: no Android app there (neither app/{_MAIN}/AndroidManifest.xml nor "
        f"{_MAIN}/AndroidManifest.xml); give the folder android_demo of a checkout"
    )


def copy_artifact(models: Path, artifact: Path) -> Path:
    """Copies a model file and its manifest into an app's folder for them, whole or not at all.

    Raises:
        UserError: the two are not of one export, the folder cannot be written to, or a folder of
            the file's name is in the way.
    """
    with atomic_folder(models) as scratch:
        copy = scratch / artifact.name
        shutil.copyfile(artifact, copy)
        shutil.copyfile(manifest_path(artifact), manifest_path(copy))
        open_artifact(copy)  # another export may have replaced one of the two meanwhile
        publish_artifact(copy, models / artifact.name)
    return models / artifact.name
