package org.lvtmobile.cli

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonObjectBuilder
import kotlinx.serialization.json.addJsonObject
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.encodeToJsonElement
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonArray
import org.lvtmobile.core.LabelMap
import org.lvtmobile.core.Manifest
import org.lvtmobile.core.PanopticMap
import org.lvtmobile.core.Prediction
import org.lvtmobile.core.StageTimes
import org.lvtmobile.core.UserError
import java.awt.image.BufferedImage
import java.io.File
import java.io.IOException
import javax.imageio.ImageIO

private const val TOP_CLASSES = 5

/**
 * Writes the map of a prediction as a PNG whose colours are ids: class labels for semantic maps,
 * segment ids in the COCO format for panoptic maps, with 0 for void.
 *
 * @return false for classification, which has no map.
 */
internal fun writeIdMap(prediction: Prediction, file: File): Boolean {
    val ids = when (prediction) {
        is Prediction.Classes -> return false
        is Prediction.Semantic -> prediction.labels
        is Prediction.Panoptic -> withVoidAsZero(prediction.map)
    }
    val image = BufferedImage(ids.size.width, ids.size.height, BufferedImage.TYPE_INT_RGB)
    val colours = IntArray(ids.values.size) { // the PNG has red = id mod 256; TYPE_INT_RGB stores red in the high byte
        val id = ids.values[it]
        (id and 0xff shl 16) or (id and 0xff00) or (id shr 16 and 0xff)
    }
    image.setRGB(0, 0, ids.size.width, ids.size.height, colours, 0, ids.size.width)
    try {
        ImageIO.write(image, "png", file)
    } catch (error: IOException) {
        throw UserError("cannot write $file: ${error.message}", error)
    }
    return true
}

private fun withVoidAsZero(map: PanopticMap): LabelMap =
    LabelMap(map.ids.size, IntArray(map.ids.values.size) { i -> map.ids.values[i].takeIf { it != map.void } ?: 0 })

/**
 * A prediction as JSON: named classes, areas or segments, and the path of the written map.
 *
 * @param stages where the time of the inference went; null if the model is not in parts.
 */
internal fun predictionJson(
    prediction: Prediction,
    manifest: Manifest,
    image: File,
    map: File?,
    stages: StageTimes?,
): JsonObject =
    buildJsonObject {
        put("image", image.path)
        put("task", manifest.task.name.lowercase())
        if (map != null) put("map", map.path)
        val names = manifest.labels?.names.orEmpty()
        when (prediction) {
            is Prediction.Classes -> putClasses(prediction, names)
            is Prediction.Semantic -> putAreas(prediction.labels, names)
            is Prediction.Panoptic -> putSegments(prediction, names)
        }
        if (stages != null) put("stages", Json.encodeToJsonElement(stages))
    }

private fun JsonObjectBuilder.putClasses(prediction: Prediction.Classes, names: List<String>) =
    putJsonArray("classes") {
        for (score in prediction.ranked.take(TOP_CLASSES)) {
            addJsonObject {
                put("index", score.index)
                put("name", names[score.index])
                put("probability", score.probability)
            }
        }
    }

private fun JsonObjectBuilder.putAreas(labels: LabelMap, names: List<String>) = putJsonArray("areas") {
    for ((label, pixels) in labels.values.toList().groupingBy { it }.eachCount().toSortedMap()) {
        addJsonObject {
            put("index", label)
            put("name", names[label])
            put("area", pixels)
        }
    }
}

private fun JsonObjectBuilder.putSegments(prediction: Prediction.Panoptic, names: List<String>) =
    putJsonArray("segments") {
        for (segment in prediction.map.segments) {
            addJsonObject {
                put("id", segment.id)
                put("label", segment.label)
                put("name", names[segment.label])
                put("score", segment.detection?.let { prediction.scores[it] })
                put("area", segment.area)
            }
        }
    }
