package org.lvtmobile.core

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json

/** The manifest schema version. It increases when an older reader would misread a new file. */
const val MANIFEST_SCHEMA: Int = 1

/** The manifest schema version of models in parts, which a reader of [MANIFEST_SCHEMA] alone cannot run. */
const val PARTS_SCHEMA: Int = 2

/** The task of a model. */
@Serializable
enum class Task {
    @SerialName("backbone")
    BACKBONE,

    @SerialName("classification")
    CLASSIFICATION,

    @SerialName("semantic")
    SEMANTIC,

    @SerialName("panoptic")
    PANOPTIC,
}

/**
 * The fields of a manifest (`<file>.json`) that are needed to run the model file; see docs/manifest.md.
 *
 * @property parts entry points and constants of a model in parts; null for a file with the whole model.
 * @property chips what the file is compiled for; empty for a file that is not compiled.
 * @property placement null in the manifests of other writers.
 */
@Serializable
data class Manifest(
    val task: Task,
    val target: String,
    val precision: String,
    val file: ModelFile,
    val model: ModelInfo,
    val inputs: List<TensorInfo>,
    val outputs: List<TensorInfo>,
    val preprocessing: PreprocessingInfo,
    val labels: Labels?,
    val parts: PartsInfo? = null,
    val chips: List<Chip> = emptyList(),
    val placement: OperatorCounts? = null,
) {
    /** Name of the model file, and its SHA-256 in hexadecimal. */
    @Serializable
    data class ModelFile(val name: String, val sha256: String)

    /** Number of classes; [panoptic] exists for panoptic models only. */
    @Serializable
    data class ModelInfo(val classes: Int, val panoptic: PanopticInfo? = null)

    /** Label order: things 0 to things-1, then stuff, then void. */
    @Serializable
    data class PanopticInfo(val things: Int, val stuff: Int, val fusion: FusionConfig)

    /** One input or output of the model file. */
    @Serializable
    data class TensorInfo(val name: String, val shape: List<Int>, val dtype: String, val layout: String) {
        /** Length of the axis with the layout letter [axis], for example 'H'; null if the axis does not exist. */
        fun axisLength(axis: Char): Int? = shape.getOrNull(layout.indexOf(axis))
    }

    /** A Snapdragon chip: its model number in lower case, which is also its folder, and its name in shops. */
    @Serializable
    data class Chip(val soc: String, val name: String)

    /** Operators of each type that the export gave to its accelerator's delegates, and those outside. */
    @Serializable
    data class OperatorCounts(val delegated: Map<String, Int>, val outside: Map<String, Int>)

    /** See [Preprocessing]. */
    @Serializable
    data class PreprocessingInfo(
        @SerialName("exif_orientation") val exifOrientation: Boolean,
        val color: String,
        val steps: List<PreprocessingStep>,
        val layout: String,
        val dtype: String,
        val golden: Golden,
    )

    /** SHA-256 of the network input for the golden picture. */
    @Serializable
    data class Golden(val sha256: String)

    companion object {
        private val json = Json {
            ignoreUnknownKeys = true // informational fields, and fields of newer writers
            classDiscriminator = "op"
        }

        /**
         * Parses the text of a manifest.
         *
         * @param name name of the manifest in error messages.
         * @throws UserError the manifest is damaged, incomplete or has another schema version.
         */
        fun parse(text: String, name: String): Manifest {
            val schema = try {
                json.decodeFromString<SchemaVersion>(text.withoutByteOrderMark()).schema
            } catch (error: IllegalArgumentException) {
                throw UserError("$name is not a manifest: ${error.firstLine()}", error)
            }
            if (schema != MANIFEST_SCHEMA && schema != PARTS_SCHEMA) {
                throw UserError("$name has schema $schema; this version reads $MANIFEST_SCHEMA and $PARTS_SCHEMA")
            }
            val manifest = try {
                json.decodeFromString<Manifest>(text.withoutByteOrderMark())
            } catch (error: IllegalArgumentException) {
                throw UserError("$name is incomplete or damaged: ${error.firstLine()}", error)
            }
            if ((manifest.parts != null) != (schema == PARTS_SCHEMA)) {
                val parts = if (manifest.parts == null) "no parts" else "parts"
                throw UserError("$name has schema $schema and $parts, which do not go together; export it again")
            }
            return manifest
        }
    }

    @Serializable
    private data class SchemaVersion(val schema: Int)
}

/** Name and RGB colour (0 to 255) of each class index. */
@Serializable
data class Labels(val names: List<String>, val colours: List<List<Int>>)

/**
 * Parameters of [fuse].
 *
 * @property maskThreshold minimum probability for a pixel to belong to an instance.
 * @property maxOverlap an instance is dropped if other instances occupy more than this share of its pixels.
 * @property minStuffArea stuff segments with fewer pixels (of the original picture) become void.
 */
@Serializable
data class FusionConfig(
    @SerialName("mask_threshold") val maskThreshold: Double,
    @SerialName("max_overlap") val maxOverlap: Double,
    @SerialName("min_stuff_area") val minStuffArea: Int,
)

/** Removes the byte order mark that some Windows editors add; the JSON parser does not accept it. */
private fun String.withoutByteOrderMark(): String = removePrefix("\uFEFF")
