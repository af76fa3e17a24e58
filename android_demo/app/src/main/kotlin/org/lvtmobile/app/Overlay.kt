package org.lvtmobile.app

import org.lvtmobile.core.ClassScore
import org.lvtmobile.core.InstanceTracker
import org.lvtmobile.core.LabelMap
import org.lvtmobile.core.Labels
import org.lvtmobile.core.Prediction
import org.lvtmobile.core.Size
import org.lvtmobile.core.StuffStabilizer
import org.lvtmobile.core.Track

private const val STUFF_ALPHA = 0x70
private const val INSTANCE_ALPHA = 0x90
private const val ISOLATED_ALPHA = 0x20
private const val OPAQUE = 0xff shl 24
private const val DIMMED = 0xb8 shl 24
private const val SELECTED_OUTLINE = OPAQUE or 0xffffff
private const val TOP_CLASSES = 3

/** Minimum run length for a label, as a share of the picture width. A label on a smaller segment would hide it. */
private const val MIN_LABEL_RUN = 0.03

/**
 * A segment as the screen shows it.
 *
 * @property key identifies the segment from frame to frame: the id of its track, or -1 - label for stuff.
 * @property score confidence, 0 to 1; null for stuff.
 * @property colour RGB.
 * @property area share of the picture, 0 to 1.
 * @property anchor a pixel inside the segment, in the middle of a long row; null if no row is long enough for a label.
 */
data class SegmentInfo(
    val key: Int,
    val name: String,
    val score: Float?,
    val colour: Int,
    val area: Double,
    val anchor: Anchor?,
) {
    val isInstance: Boolean get() = score != null
}

/** A pixel of the picture. */
data class Anchor(val x: Int, val y: Int)

/** A class of a picture, and its probability. */
data class NamedScore(val name: String, val probability: Double)

/**
 * How to draw.
 *
 * @property selected key of the selected segment.
 * @property isolate whether everything but the selected segment is dark; needs a selected segment.
 */
data class OverlayStyle(val selected: Int? = null, val isolate: Boolean = false)

/**
 * A prediction, rendered as pixels and segments on top of the picture. The buffers are reused.
 *
 * In a live view, instances keep their colour and key from frame to frame, and small regions of stuff appear only if
 * they stay.
 */
class Overlay {
    private val tracker = InstanceTracker()
    private val stabilizer = StuffStabilizer()
    private var tracks: Map<Int, Track> = emptyMap()
    private var shownStuff: Set<Int> = emptySet()

    /** Size of the picture; null before the first prediction and for predictions without a map. */
    var size: Size? = null
        private set

    /** (height, width) ARGB, not premultiplied; transparent for void. */
    var pixels: IntArray = IntArray(0)
        private set

    /** (height, width): 1 + index in [segments]; 0 for none. */
    var indices: ByteArray = ByteArray(0)
        private set

    /** The visible segments, largest first. */
    var segments: List<SegmentInfo> = emptyList()
        private set

    /** The most probable classes, for classification. */
    var classes: List<NamedScore> = emptyList()
        private set

    /** Forgets the frames before, for example when the source changes. */
    fun clear() {
        tracker.clear()
        stabilizer.clear()
    }

    /**
     * Continues with the next frame and renders it.
     *
     * @param live whether the picture is one of a sequence. A single picture shows every region.
     */
    fun show(prediction: Prediction, labels: Labels, style: OverlayStyle, live: Boolean) {
        if (!live) clear()
        if (prediction is Prediction.Panoptic) tracks = tracker.update(prediction.map)
        val areas = stuffAreas(prediction)
        shownStuff = if (live) stabilizer.update(areas, areas.total(prediction)) else areas.keys
        render(prediction, labels, style)
    }

    /** Renders the frame of the last [show] again, for example after a selection. */
    fun render(prediction: Prediction, labels: Labels, style: OverlayStyle) {
        when (prediction) {
            is Prediction.Classes -> {
                size = null
                segments = emptyList()
                classes = prediction.ranked.take(TOP_CLASSES).map { it.named(labels) }
            }
            is Prediction.Semantic -> render(prediction.labels, shownStuff.map { stuffSegment(it, it, labels) }, style)
            is Prediction.Panoptic -> render(prediction.map.ids, panopticSegments(prediction, labels), style)
        }
    }

    private fun ClassScore.named(labels: Labels) = NamedScore(labels.names[index], probability)

    private fun Map<Int, Int>.total(prediction: Prediction): Int = when (prediction) {
        is Prediction.Panoptic -> prediction.map.ids.size.area
        else -> values.sum().coerceAtLeast(1)
    }

    private fun stuffAreas(prediction: Prediction): Map<Int, Int> = when (prediction) {
        is Prediction.Classes -> emptyMap()
        is Prediction.Semantic -> countLabels(prediction.labels)
        is Prediction.Panoptic ->
            prediction.map.segments.filter { it.detection == null }.associate { it.label to it.area }
    }

    private fun countLabels(map: LabelMap): Map<Int, Int> {
        val counts = IntArray(map.values.max() + 1)
        for (label in map.values) counts[label]++
        return counts.indices.filter { counts[it] > 0 }.associateWith { counts[it] }
    }

    private fun panopticSegments(prediction: Prediction.Panoptic, labels: Labels): List<DrawnSegment> =
        prediction.map.segments.mapNotNull { segment ->
            val detection = segment.detection
            if (detection == null) {
                if (segment.label in shownStuff) stuffSegment(segment.id, segment.label, labels) else null
            } else {
                val track = tracks.getValue(segment.id)
                val colour = instanceColour(toRgb(labels.colours[segment.label]), track.slot)
                DrawnSegment(segment.id, track.id, labels.names[segment.label], prediction.scores[detection], colour)
            }
        }

    private fun stuffSegment(id: Int, label: Int, labels: Labels) =
        DrawnSegment(id, -1 - label, labels.names[label], score = null, toRgb(labels.colours[label]))

    private fun render(ids: LabelMap, drawn: List<DrawnSegment>, style: OverlayStyle) {
        val size = ids.size
        if (pixels.size != size.area) pixels = IntArray(size.area)
        if (indices.size != size.area) indices = ByteArray(size.area)
        this.size = size
        classes = emptyList()
        val effective = if (drawn.any { it.key == style.selected }) style else OverlayStyle() // it has left the picture
        drawSegments(ids, drawn, effective, pixels)
        val visible = drawn.filter { it.area > 0 }.sortedByDescending { it.area }.take(MAX_SEGMENTS)
        segments = visible.map { it.info(size) }
        writeIndices(ids, visible, indices)
    }
}

/** One byte per pixel tells them apart. */
private const val MAX_SEGMENTS = 255

private fun writeIndices(ids: LabelMap, segments: List<DrawnSegment>, target: ByteArray) {
    val indexById = HashMap<Int, Int>()
    segments.forEachIndexed { index, segment -> indexById[segment.id] = index + 1 }
    var lastId = -1
    var index = 0
    for (i in ids.values.indices) {
        if (ids.values[i] != lastId) {
            lastId = ids.values[i]
            index = indexById[lastId] ?: 0
        }
        target[i] = index.toByte()
    }
}

private fun toRgb(colour: List<Int>): Int = (colour[0] shl 16) or (colour[1] shl 8) or colour[2]

/** Makes every second instance of a class lighter and every third darker, to distinguish neighbours. */
internal fun instanceColour(rgb: Int, slot: Int): Int {
    fun channel(shift: Int): Int {
        val value = rgb shr shift and 0xff
        return when (slot % 3) {
            1 -> value + (255 - value) / 2
            2 -> value * 2 / 3
            else -> value
        } shl shift
    }
    return channel(16) or channel(8) or channel(0)
}

/**
 * A segment, and its area and the place of its label, which are found while it is drawn. The label is in the middle of
 * one of the longest rows, so it is always inside the segment; of these rows, the middle one is taken.
 *
 * @property id value in the map.
 */
internal class DrawnSegment(val id: Int, val key: Int, val name: String, val score: Float?, val colour: Int) {
    private class Run(val from: Int, val until: Int, val row: Int) {
        val length: Int get() = until - from
    }

    private val longRuns = mutableListOf<Run>()
    private var longestRun = 0

    var area = 0
        private set

    fun addRun(from: Int, until: Int, row: Int) {
        val run = Run(from, until, row)
        area += run.length
        longestRun = maxOf(longestRun, run.length)
        if (run.length >= LONG_RUN * longestRun) longRuns += run
    }

    /** The colour of a pixel inside. */
    fun fill(style: OverlayStyle): Int {
        val alpha = when {
            style.isolate && key == style.selected -> ISOLATED_ALPHA
            style.isolate -> return DIMMED
            score == null -> STUFF_ALPHA
            else -> INSTANCE_ALPHA
        }
        return (alpha shl 24) or colour
    }

    /** The colour of the outline; null for no outline. */
    fun outline(style: OverlayStyle): Int? = when {
        key == style.selected -> SELECTED_OUTLINE
        style.isolate || score == null -> null
        else -> OPAQUE or colour
    }

    fun info(size: Size) = SegmentInfo(
        key = key,
        name = name,
        score = score,
        colour = colour,
        area = area / size.area.toDouble(),
        anchor = if (longestRun >= MIN_LABEL_RUN * size.width) anchor() else null,
    )

    private fun anchor(): Anchor {
        val candidates = longRuns.filter { it.length >= LONG_RUN * longestRun }
        return candidates[candidates.size / 2].let { Anchor((it.from + it.until) / 2, it.row) }
    }

    private companion object {
        /** Rows of at least this share of the longest are good places for a label. */
        const val LONG_RUN = 0.9
    }
}

/**
 * Fills each segment and draws outlines.
 *
 * @param ids segment id per pixel. Pixels whose id is not in [segments] become transparent, or dark beside an isolated
 *   segment.
 * @param target ARGB buffer of the same length.
 */
internal fun drawSegments(ids: LabelMap, segments: List<DrawnSegment>, style: OverlayStyle, target: IntArray) {
    val (height, width) = ids.size
    val byId = segments.associateBy { it.id }
    val void = if (style.isolate) DIMMED else 0
    for (y in 0 until height) {
        var x = 0
        while (x < width) {
            val start = x
            val id = ids.values[y * width + x]
            while (x < width && ids.values[y * width + x] == id) x++
            val segment = byId[id]
            target.fill(segment?.fill(style) ?: void, y * width + start, y * width + x)
            if (segment == null) continue
            segment.addRun(start, x, y)
            segment.outline(style)?.let { drawOutline(ids, y, start until x, it, target) }
        }
    }
}

/** Sets the pixels of a run that have a neighbour (left, right, above or below) in another segment. */
private fun drawOutline(ids: LabelMap, y: Int, run: IntRange, colour: Int, target: IntArray) {
    val (height, width) = ids.size
    val id = ids.values[y * width + run.first]
    for (x in run) {
        val i = y * width + x
        val edge = (x == run.first && x > 0) || (x == run.last && x < width - 1) ||
            (y > 0 && ids.values[i - width] != id) || (y < height - 1 && ids.values[i + width] != id)
        if (edge) target[i] = colour
    }
}
