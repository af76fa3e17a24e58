package org.lvtmobile.core

/**
 * Greedy non-maximum suppression: boxes arrive by falling score, and a box is kept unless its IoU with a
 * kept box is above the threshold. The buffers are reused.
 *
 * @param capacity maximum number of kept boxes.
 */
internal class Suppression(private val capacity: Int, threshold: Double) {
    private val threshold = threshold.toFloat()
    private val kept = FloatArray(4 * capacity)
    private val areas = FloatArray(capacity)
    private var count = 0

    /** Whether no further box can be kept. */
    val isFull: Boolean get() = count == capacity

    /** Forgets the kept boxes. */
    fun clear() {
        count = 0
    }

    /** Keeps [box] unless a kept box suppresses it; returns whether it was kept. */
    fun keep(box: FloatArray): Boolean {
        val area = (box[2] - box[0]) * (box[3] - box[1])
        for (index in 0 until count) if (overlaps(index, box, area)) return false
        box.copyInto(kept, 4 * count)
        areas[count++] = area
        return true
    }

    private fun overlaps(index: Int, box: FloatArray, area: Float): Boolean {
        val other = 4 * index
        val width = minOf(kept[other + 2], box[2]) - maxOf(kept[other], box[0])
        if (width <= 0) return false
        val height = minOf(kept[other + 3], box[3]) - maxOf(kept[other + 1], box[1])
        if (height <= 0) return false
        val overlap = width * height
        return overlap / (areas[index] + area - overlap) > threshold // false for 0/0
    }
}
