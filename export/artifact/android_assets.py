"""Copies artifacts to an Android app's assets, where `android_demo` reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

from export.artifact.files import manifest_path, publish_artifact
from export.artifact.reader import open_artifact
from lvt.errors import UserError
from lvt.support.files import atomic_folder

MODELS = "models"
"""Folder within the assets; `AppFiles.kt` uses the same name."""
_MAIN = Path("src", "main")


def models_folder(app: Path) -> Path:
    """The folder of an app for artifacts; it may not exist yet.

    Args:
        app: a Gradle project with a module `app`, such as `android_demo`, or that module.

    Raises:
        UserError: the folder is neither of these.
    """
    for module in (app / "app", app):
        if (module / _MAIN / "AndroidManifest.xml").is_file():
            return module / _MAIN / "assets" / MODELS
    raise UserError(
        f"--android {app}: this is not an Android app (neither app/{_MAIN}/AndroidManifest.xml nor "
        f"{_MAIN}/AndroidManifest.xml exists); give the folder android_demo of a checkout"
    )


def copy_artifact(models: Path, artifact: Path) -> Path:
    """Copies a model file and its manifest to an app's folder, both or none.

    Raises:
        UserError: file and manifest do not belong together, the folder cannot be written to, or a
            directory has the file's name.
    """
    with atomic_folder(models) as scratch:
        copy = scratch / artifact.name
        (shutil.copytree if artifact.is_dir() else shutil.copyfile)(artifact, copy)
        shutil.copyfile(manifest_path(artifact), manifest_path(copy))
        open_artifact(copy)  # another export may have replaced one of them meanwhile
        publish_artifact(copy, models / artifact.name)
    return models / artifact.name
