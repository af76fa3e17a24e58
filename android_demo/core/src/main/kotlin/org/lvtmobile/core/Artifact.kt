package org.lvtmobile.core

import java.io.File
import java.io.IOException

/**
 * A model file whose manifest has been read and whose hash has been checked.
 *
 * @property file the model file.
 * @property size height and width of the network's input.
 */
class Artifact private constructor(
    val file: File,
    val manifest: Manifest,
    val preprocessing: Preprocessing,
    val size: Size,
) {
    companion object {
        /** Where the manifest of a model file stands: `<file>.json`. */
        fun manifestFile(model: File): File = File("${model.path}.json")

        /**
         * Reads the manifest of a model file and checks the file against it.
         *
         * @throws UserError no file, no manifest, one that is damaged or of another schema, one
         *   whose preprocessing this code does differently, or a file it was not written for.
         */
        fun open(model: File): Artifact {
            if (!model.exists()) throw UserError("no artifact at $model")
            if (!model.isFile) throw UserError("$model is a folder; artifacts for Android are files")
            val sidecar = manifestFile(model)
            if (!sidecar.isFile) {
                throw UserError(
                    "${model.name} is no artifact, for it has no manifest: $sidecar is missing; " +
                        "lvt-export writes both, and they belong side by side",
                )
            }
            val manifest = try {
                Manifest.parse(sidecar.readText(), sidecar.name)
            } catch (error: IOException) {
                throw UserError("cannot read $sidecar: ${error.firstLine()}", error)
            }
            complaint(manifest)?.let { throw UserError("${sidecar.name}: $it") }
            val preprocessing = Preprocessing(manifest.preprocessing.steps)
            val artifact = Artifact(model, manifest, preprocessing, inputSize(manifest))
            artifact.check()
            return artifact
        }

        private fun inputSize(manifest: Manifest): Size {
            val image = manifest.inputs.single()
            return Size(image.side('H') ?: 0, image.side('W') ?: 0)
        }
    }

    private fun check() {
        if (sha256(file) != manifest.file.sha256) {
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
        val made = preprocessing.apply(Picture.golden()).shape
        if (made != listOf(1, Picture.CHANNELS, height, width)) {
            throw UserError("preprocessing gives $made, but ${file.name} takes $height x $width; export it again")
        }
    }
}
