package org.lvtmobile.app

import org.lvtmobile.core.Labels
import org.lvtmobile.core.Prediction
import org.lvtmobile.core.Size

private const val STUFF_ALPHA = 0x70 shl 24
private const val INSTANCE_ALPHA = 0x90 shl 24
private const val OPAQUE = 0xff shl 24
private const val TOP_CLASSES = 3

/** Minimum run length for a label, as a share of the picture width. A label on a smaller segment would hide it. */
private const val MIN_LABEL_RUN = 0.03

/** Position for the label of a segment: a pixel of the picture inside the segment. */
data class LabelAnchor(val text: String, val x: Int, val y: Int, val colour: Int, val area: Int)

/** A prediction, rendered as pixels and labels on top of the picture. The buffer is reused. */
class Overlay {
    /** Size of the picture; null before the first prediction and for predictions without a map. */
    var size: Size? = null
        private set

    /** (height, width) ARGB, not premultiplied; transparent for void. */
    var pixels: IntArray = IntArray(0)
        private set

    /** Label positions, largest segment first. */
    var anchors: List<LabelAnchor> = emptyList()
        private set

    /** The most probable classes as text, for classification. */
    var classLines: List<String> = emptyList()
        private set

    /** Renders a prediction and replaces the previous one. */
    fun render(prediction: Prediction, labels: Labels) {
        when (prediction) {
            is Prediction.Classes -> {
                size = null
                anchors = emptyList()
                classLines = prediction.ranked.take(TOP_CLASSES).map {
                    "%s %.0f%%".format(labels.names[it.index], 100 * it.probability)
                }
            }
            is Prediction.Semantic -> {
                val present = prediction.labels.values.toSet()
                val segments = present.associateWith { stuffSegment(it, labels) }
                render(prediction.labels.size, prediction.labels.values, segments)
            }
            is Prediction.Panoptic ->
                render(prediction.map.ids.size, prediction.map.ids.values, panopticSegments(prediction, labels))
        }
    }

    private fun render(size: Size, ids: IntArray, segments: Map<Int, StyledSegment>) {
        if (pixels.size != size.area) pixels = IntArray(size.area)
        this.size = size
        classLines = emptyList()
        drawSegments(size, ids, segments, pixels)
        anchors = segments.values
            .filter { it.longestRun >= MIN_LABEL_RUN * size.width }
            .sortedByDescending { it.area }
            .map { LabelAnchor(it.text, it.labelX, it.labelY, it.colour, it.area) }
    }
}

private fun panopticSegments(prediction: Prediction.Panoptic, labels: Labels): Map<Int, StyledSegment> {
    val instanceCounts = mutableMapOf<Int, Int>() // by class
    return prediction.map.segments.associate { segment ->
        val detection = segment.detection
        segment.id to if (detection == null) {
            stuffSegment(segment.label, labels)
        } else {
            val count = instanceCounts.merge(segment.label, 1, Int::plus) ?: 1
            val colour = instanceColour(toRgb(labels.colours[segment.label]), count - 1)
            val text = "%s %.0f%%".format(labels.names[segment.label], 100 * prediction.scores[detection])
            StyledSegment(text, colour, INSTANCE_ALPHA, outlined = true)
        }
    }
}

private fun stuffSegment(label: Int, labels: Labels) =
    StyledSegment(labels.names[label], toRgb(labels.colours[label]), STUFF_ALPHA, outlined = false)

private fun toRgb(colour: List<Int>): Int = (colour[0] shl 16) or (colour[1] shl 8) or colour[2]

/** Makes every second instance of a class lighter and every third darker, to distinguish neighbours. */
internal fun instanceColour(rgb: Int, instance: Int): Int {
    fun channel(shift: Int): Int {
        val value = rgb shr shift and 0xff
        return when (instance % 3) {
            1 -> value + (255 - value) / 2
            2 -> value * 2 / 3
            else -> value
        } shl shift
    }
    return channel(16) or channel(8) or channel(0)
}

/**
 * Style of a segment, and its area and label position, which are computed while it is drawn. The label
 * position is the middle of the longest horizontal run, which is always inside the segment.
 *
 * @property colour RGB.
 * @property alpha alpha of the fill, in the highest byte.
 */
internal class StyledSegment(val text: String, val colour: Int, val alpha: Int, val outlined: Boolean) {
    var area = 0
        private set
    var longestRun = 0
        private set
    var labelX = 0
        private set
    var labelY = 0
        private set

    fun addRun(from: Int, until: Int, row: Int) {
        val length = until - from
        area += length
        if (length > longestRun) {
            longestRun = length
            labelX = (from + until) / 2
            labelY = row
        }
    }
}

/**
 * Fills each segment and outlines instances.
 *
 * @param ids segment id per pixel, row-major. Pixels whose id is not in [segments] become transparent.
 * @param target ARGB buffer of the same length.
 */
internal fun drawSegments(size: Size, ids: IntArray, segments: Map<Int, StyledSegment>, target: IntArray) {
    val (height, width) = size
    for (y in 0 until height) {
        var x = 0
        while (x < width) {
            val start = x
            val id = ids[y * width + x]
            while (x < width && ids[y * width + x] == id) x++
            val segment = segments[id]
            val fill = if (segment == null) 0 else segment.alpha or segment.colour
            target.fill(fill, y * width + start, y * width + x)
            if (segment == null) continue
            segment.addRun(start, x, y)
            if (segment.outlined) drawOutline(size, ids, y, start until x, OPAQUE or segment.colour, target)
        }
    }
}

/** Sets the pixels of a run that have a neighbour (left, right, above or below) in another segment. */
private fun drawOutline(size: Size, ids: IntArray, y: Int, run: IntRange, colour: Int, target: IntArray) {
    val (height, width) = size
    val id = ids[y * width + run.first]
    for (x in run) {
        val i = y * width + x
        val edge = (x == run.first && x > 0) || (x == run.last && x < width - 1) ||
            (y > 0 && ids[i - width] != id) || (y < height - 1 && ids[i + width] != id)
        if (edge) target[i] = colour
    }
}
