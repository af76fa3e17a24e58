package org.lvtmobile.core

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json

/** The newest manifest schema this code reads; it rises when an old reader would misread a new file. */
const val MANIFEST_SCHEMA: Int = 1

/** What a model predicts. */
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

/** The part of an artifact's `<file>.json` that whoever runs the file needs; see `export/artifact/manifest.py`. */
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
) {
    /** The model file's name, and the SHA-256 of its bytes in hex. */
    @Serializable
    data class ModelFile(val name: String, val sha256: String)

    /** The model's classes; things and stuff only where it is panoptic. */
    @Serializable
    data class ModelInfo(val classes: Int, val panoptic: PanopticInfo? = null)

    /** Labels are things 0 ... things-1, then stuff, then one for void. */
    @Serializable
    data class PanopticInfo(val things: Int, val stuff: Int, val fusion: FusionConfig)

    /** One input or output of the model file. */
    @Serializable
    data class TensorInfo(val name: String, val shape: List<Int>, val dtype: String, val layout: String) {
        /** Length of the axis that the layout calls [axis], such as 'H'; null if there is none. */
        fun side(axis: Char): Int? = shape.getOrNull(layout.indexOf(axis))
    }

    /** See [Preprocessing]. */
    @Serializable
    data class PreprocessingInfo(
        @SerialName("exif_orientation") val exifOrientation: Boolean,
        val color: String,
        val steps: List<Step>,
        val layout: String,
        val dtype: String,
        val golden: Golden,
    )

    /** Hash of the golden picture's network input. */
    @Serializable
    data class Golden(val sha256: String)

    companion object {
        private val json = Json {
            ignoreUnknownKeys = true // figures for people, and what newer writers add
            classDiscriminator = "op"
        }

        /**
         * Reads a manifest's text.
         *
         * @param name what messages call it.
         * @throws UserError it is damaged, incomplete or of another schema.
         */
        fun parse(text: String, name: String): Manifest {
            val schema = try {
                json.decodeFromString<Schema>(text.withoutByteOrderMark()).schema
            } catch (error: IllegalArgumentException) {
                throw UserError("$name is not a manifest: ${error.firstLine()}", error)
            }
            if (schema != MANIFEST_SCHEMA) {
                throw UserError("$name has schema $schema; this version reads $MANIFEST_SCHEMA")
            }
            return try {
                json.decodeFromString<Manifest>(text.withoutByteOrderMark())
            } catch (error: IllegalArgumentException) {
                throw UserError("$name is incomplete or damaged: ${error.firstLine()}", error)
            }
        }
    }

    @Serializable
    private data class Schema(val schema: Int)
}

/** One name and one RGB colour (0 to 255) for each class index. */
@Serializable
data class Labels(val names: List<String>, val colours: List<List<Int>>)

/**
 * How detections and semantic labels become one panoptic map.
 *
 * @property maskThreshold a pixel belongs to an instance from this probability on.
 * @property maxOverlap an instance is dropped if more than this share of it is already taken.
 * @property minStuffArea smaller stuff segments become void, in pixels of the original image.
 */
@Serializable
data class FusionConfig(
    @SerialName("mask_threshold") val maskThreshold: Double,
    @SerialName("max_overlap") val maxOverlap: Double,
    @SerialName("min_stuff_area") val minStuffArea: Int,
)

/** Editors on Windows put one before UTF-8; JSON has none. */
private fun String.withoutByteOrderMark(): String = removePrefix("\uFEFF")
