package org.lvtmobile.cli

import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonObjectBuilder
import kotlinx.serialization.json.addJsonObject
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonArray
import org.lvtmobile.core.Answer
import org.lvtmobile.core.LabelMap
import org.lvtmobile.core.Manifest
import org.lvtmobile.core.PanopticMap
import org.lvtmobile.core.UserError
import java.awt.image.BufferedImage
import java.io.File
import java.io.IOException
import javax.imageio.ImageIO

private const val SHOWN_CLASSES = 5

/**
 * Writes an answer's map as a PNG whose colours are ids: labels as they are, panoptic maps as COCO
 * has them, with 0 for void. False for classes, which have no map.
 */
internal fun writeIds(answer: Answer, file: File): Boolean {
    val ids = when (answer) {
        is Answer.Classes -> return false
        is Answer.Semantic -> answer.labels
        is Answer.Panoptic -> withoutVoid(answer.map)
    }
    val image = BufferedImage(ids.size.width, ids.size.height, BufferedImage.TYPE_INT_RGB)
    val swapped = IntArray(ids.values.size) { // TYPE_INT_RGB has red in the highest byte
        val id = ids.values[it]
        (id and 0xff shl 16) or (id and 0xff00) or (id shr 16 and 0xff)
    }
    image.setRGB(0, 0, ids.size.width, ids.size.height, swapped, 0, ids.size.width)
    try {
        ImageIO.write(image, "png", file)
    } catch (error: IOException) {
        throw UserError("cannot write $file: ${error.message}", error)
    }
    return true
}

private fun withoutVoid(map: PanopticMap): LabelMap =
    LabelMap(map.ids.size, IntArray(map.ids.values.size) { i -> map.ids.values[i].takeIf { it != map.void } ?: 0 })

/** An answer as data: classes or segments with names, and where the map was written. */
internal fun describe(answer: Answer, manifest: Manifest, image: File, map: File?): JsonObject = buildJsonObject {
    put("image", image.path)
    put("task", manifest.task.name.lowercase())
    if (map != null) put("map", map.path)
    val names = manifest.labels?.names.orEmpty()
    when (answer) {
        is Answer.Classes -> classes(answer, names)
        is Answer.Semantic -> shares(answer.labels, names)
        is Answer.Panoptic -> segments(answer, names)
    }
}

private fun JsonObjectBuilder.classes(answer: Answer.Classes, names: List<String>) = putJsonArray("classes") {
    for (score in answer.ranked.take(SHOWN_CLASSES)) {
        addJsonObject {
            put("index", score.index)
            put("name", names[score.index])
            put("probability", score.probability)
        }
    }
}

private fun JsonObjectBuilder.shares(labels: LabelMap, names: List<String>) = putJsonArray("areas") {
    for ((label, pixels) in labels.values.toList().groupingBy { it }.eachCount().toSortedMap()) {
        addJsonObject {
            put("index", label)
            put("name", names[label])
            put("area", pixels)
        }
    }
}

private fun JsonObjectBuilder.segments(answer: Answer.Panoptic, names: List<String>) = putJsonArray("segments") {
    for (segment in answer.map.segments) {
        addJsonObject {
            put("id", segment.id)
            put("label", segment.label)
            put("name", names[segment.label])
            put("score", segment.detection?.let { answer.scores[it] })
            put("area", segment.area)
        }
    }
}
