package org.lvtmobile.core

/**
 * An object that is followed over frames.
 *
 * @property id unique since the tracker started, from 1.
 * @property slot the lowest number that no other object of the same class had when this one appeared, from 0. Colours
 *   are chosen by it, so that neighbours differ and an object keeps its colour.
 */
data class Track(val id: Int, val label: Int, val slot: Int)

/** Minimum overlap of the last and the found box, as intersection over union. */
private const val MIN_IOU = 0.3

/** Number of frames that an object may be missing and still return as the same one. */
private const val MEMORY = 5

/**
 * Gives instances the same [Track] from frame to frame.
 *
 * An instance continues the track of its class whose last box overlaps its own the most, either where it was or where
 * its motion leads, so objects that cross keep their tracks. Scores and their order have no effect. Not thread-safe.
 */
class InstanceTracker {
    private class State(val track: Track, var box: PixelBox, var dx: Double = 0.0, var dy: Double = 0.0) {
        var missed = 0

        /** Overlap with the last box, or with the box as if it had moved on: whichever is larger. */
        fun overlap(found: PixelBox): Double =
            maxOf(found.iou(box), found.iou(box.moved(dx * (missed + 1), dy * (missed + 1))))

        fun continueAt(found: PixelBox) {
            dx = blend(dx, (found.centreX - box.centreX) / (missed + 1))
            dy = blend(dy, (found.centreY - box.centreY) / (missed + 1))
            box = found
            missed = 0
        }

        /** Smooths the motion: a box that another object begins to cover jumps. */
        private fun blend(old: Double, new: Double) = (old + new) / 2
    }

    private val states = mutableListOf<State>()
    private var size: Size? = null
    private var nextId = 1

    /** Forgets all tracks, for example when another model is loaded. Their ids are not used again. */
    fun clear() {
        states.clear()
        size = null
    }

    /**
     * Continues with the next frame.
     *
     * @return the track of each instance by its segment id. A frame of another size starts anew.
     */
    fun update(map: PanopticMap): Map<Int, Track> {
        if (size != map.ids.size) clear()
        size = map.ids.size
        val boxes = instanceBoxes(map)
        val labels = map.segments.associate { it.id to it.label }
        val continued = match(boxes, labels)
        for (state in states) if (state !in continued.values) state.missed++
        for ((id, state) in continued) state.continueAt(boxes.getValue(id))
        states.removeAll { it.missed > MEMORY }
        return boxes.entries.associate { (id, box) ->
            val state = continued[id] ?: start(labels.getValue(id), box)
            id to state.track
        }
    }

    /** Pairs instances and tracks of one class, largest overlap first; each is used once. */
    private fun match(boxes: Map<Int, PixelBox>, labels: Map<Int, Int>): Map<Int, State> {
        val pairs = boxes.flatMap { (id, box) ->
            states.filter { it.track.label == labels[id] }.map { Triple(id, it, it.overlap(box)) }
        }.filter { it.third >= MIN_IOU }.sortedByDescending { it.third }
        val matched = LinkedHashMap<Int, State>()
        for ((id, state, _) in pairs) if (id !in matched && state !in matched.values) matched[id] = state
        return matched
    }

    private fun start(label: Int, box: PixelBox): State {
        val used = states.filter { it.track.label == label }.map { it.track.slot }.toSet()
        val slot = generateSequence(0) { it + 1 }.first { it !in used }
        return State(Track(nextId++, label, slot), box).also(states::add)
    }
}

/** A box in pixels; the right and lower edges are outside. */
private class PixelBox(val left: Double, val top: Double, val right: Double, val bottom: Double) {
    val centreX: Double get() = (left + right) / 2
    val centreY: Double get() = (top + bottom) / 2

    fun moved(dx: Double, dy: Double) = PixelBox(left + dx, top + dy, right + dx, bottom + dy)

    fun iou(other: PixelBox): Double {
        val width = minOf(right, other.right) - maxOf(left, other.left)
        val height = minOf(bottom, other.bottom) - maxOf(top, other.top)
        if (width <= 0 || height <= 0) return 0.0
        return width * height / (area + other.area - width * height)
    }

    private val area: Double get() = (right - left) * (bottom - top)
}

/** The box around the pixels of each instance, by segment id. */
private fun instanceBoxes(map: PanopticMap): Map<Int, PixelBox> {
    val ids = map.segments.filter { it.detection != null }.map { it.id }
    val extents = ids.associateWith { intArrayOf(Int.MAX_VALUE, Int.MAX_VALUE, -1, -1) }
    val (height, width) = map.ids.size
    var lastId = -1
    var extent: IntArray? = null
    for (y in 0 until height) {
        for (x in 0 until width) {
            val id = map.ids.values[y * width + x]
            if (id != lastId) {
                lastId = id
                extent = extents[id]
            }
            if (extent == null) continue
            if (x < extent[0]) extent[0] = x
            if (y < extent[1]) extent[1] = y
            if (x > extent[2]) extent[2] = x
            if (y > extent[3]) extent[3] = y
        }
    }
    return extents.filterValues { it[2] >= 0 }.mapValues { (_, e) ->
        PixelBox(e[0].toDouble(), e[1].toDouble(), e[2] + 1.0, e[3] + 1.0)
    }
}
