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
            complaints(manifest).firstOrNull()?.let { throw UserError("${sidecar.name}: $it") }
            val preprocessing = Preprocessing(manifest.preprocessing.steps)
            val artifact = Artifact(model, manifest, preprocessing, inputSize(manifest))
            artifact.check()
            return artifact
        }

        private fun inputSize(manifest: Manifest): Size {
            val image = manifest.inputs.single()
            return Size(image.side('H') ?: 0, image.side('W') ?: 0)
        }

        /** What this code cannot do, or a manifest cannot mean. */
        private fun complaints(manifest: Manifest) = sequence {
            val image = manifest.inputs.singleOrNull()
            if (image == null || (image.side('H') ?: 0) < 1 || (image.side('W') ?: 0) < 1) {
                yield("one image of known height and width is expected as input")
            }
            val before = manifest.preprocessing
            if (!before.exifOrientation || before.color != "RGB" || before.layout != "NCHW" || before.dtype != "float32") {
                yield("preprocessing other than of upright RGB pictures to NCHW float32 is not known")
            }
            val labels = manifest.labels
            if (labels == null && manifest.task != Task.BACKBONE) yield("it has no labels")
            if (labels != null && (labels.names.size != labels.colours.size || labels.names.size != manifest.model.classes)) {
                yield("${labels.names.size} names and ${labels.colours.size} colours for ${manifest.model.classes} classes")
            }
            if (labels != null && labels.colours.any { it.size != Picture.CHANNELS }) yield("a colour is not red, green, blue")
            val panoptic = manifest.model.panoptic
            if ((manifest.task == Task.PANOPTIC) != (panoptic != null)) {
                yield("a panoptic configuration is missing, or there for another task")
            }
            if (panoptic != null && panoptic.things + panoptic.stuff != manifest.model.classes) {
                yield("${panoptic.things} things and ${panoptic.stuff} stuff for ${manifest.model.classes} classes")
            }
            if (panoptic != null && (panoptic.things < 1 || panoptic.stuff < 0 || manifest.model.classes >= INSTANCE_OFFSET)) {
                yield("${panoptic.things} things and ${panoptic.stuff} stuff do not fit panoptic ids")
            }
            if (panoptic != null && panoptic.fusion.maskThreshold <= 0) yield("mask_threshold must be above 0")
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
