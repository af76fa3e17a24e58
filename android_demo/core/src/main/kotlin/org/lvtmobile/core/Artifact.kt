package org.lvtmobile.core

import java.io.File
import java.io.IOException

/**
 * A model file with its parsed manifest. The hash of the file has been verified.
 *
 * @property file the model file; a folder for some models in parts, and for compiled ones.
 * @property size height and width of the network input.
 */
class Artifact private constructor(
    val file: File,
    val manifest: Manifest,
    val preprocessing: Preprocessing,
    val size: Size,
) {
    companion object {
        /** Path of the manifest of a model file: `<file>.json`. */
        fun manifestFile(model: File): File = File("${model.path}.json")

        /**
         * Reads the manifest of a model file and verifies the file against it.
         *
         * @throws UserError the file or its manifest is missing; the manifest is damaged or has another
         *   schema version; this code computes another preprocessing result; or the hash differs.
         */
        fun open(model: File): Artifact {
            if (!model.exists()) throw UserError("no artifact at $model")
            val manifestFile = manifestFile(model)
            if (!manifestFile.isFile) {
                val kind = if (model.isDirectory) " is a folder and" else ""
                throw UserError(
                    "${model.name}$kind has no manifest: $manifestFile is missing; " +
                        "lvt-export writes both files, keep them in the same folder",
                )
            }
            val manifest = try {
                Manifest.parse(manifestFile.readText(), manifestFile.name)
            } catch (error: IOException) {
                throw UserError("cannot read $manifestFile: ${error.firstLine()}", error)
            }
            if (model.isDirectory && manifest.parts == null && manifest.chips.isEmpty()) {
                throw UserError("$model is a folder; artifacts for Android are files, or folders with parts or chips")
            }
            ManifestValidator.firstIssue(manifest)?.let { throw UserError("${manifestFile.name}: $it") }
            val preprocessing = Preprocessing(manifest.preprocessing.steps)
            val artifact = Artifact(model, manifest, preprocessing, inputSize(manifest))
            artifact.verify()
            return artifact
        }

        private fun inputSize(manifest: Manifest): Size {
            val image = manifest.inputs.single()
            return Size(image.axisLength('H') ?: 0, image.axisLength('W') ?: 0)
        }
    }

    private fun verify() {
        if (contentSha256(file) != manifest.file.sha256) {
            throw UserError(
                "${file.name} is not the file its manifest describes (SHA-256 differs); " +
                    "export it again, or put file and manifest of one export side by side",
            )
        }
        if (preprocessing.goldenSha256() != manifest.preprocessing.golden.sha256) {
            throw UserError(
                "preprocessing gives another golden tensor than the manifest of ${file.name} records; " +
                    "update this app, or export the artifact again",
            )
        }
        val (height, width) = size
        val shape = preprocessing.apply(Picture.golden()).shape
        if (shape != listOf(1, Picture.CHANNELS, height, width)) {
            throw UserError(
                "preprocessing produces shape $shape, but ${file.name} expects $height x $width; export it again",
            )
        }
    }
}
