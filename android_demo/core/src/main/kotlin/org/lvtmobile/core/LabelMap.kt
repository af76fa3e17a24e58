package org.lvtmobile.core

import kotlin.math.abs

/**
 * One whole number a pixel.
 *
 * @property values (height, width), row by row.
 */
class LabelMap(val size: Size, val values: IntArray) {
    init {
        require(values.size == size.area) { "${values.size} values for a map of $size" }
    }
}

/**
 * Semantic logits to class indices at the picture's size.
 *
 * As in the official evaluation: bilinear to the network's input size, padding cut off, bilinear
 * again to the original size, highest class. Row by row, so that memory does not grow with the sizes
 * and stays near the processor.
 *
 * @param logits (1, K, h, w), at a quarter of the network's input size.
 * @param network size of the network's input.
 * @param content of the picture in it, without padding.
 * @param original of the picture the labels are wanted for.
 */
fun labelMap(logits: Tensor, network: Size, content: Size, original: Size): LabelMap {
    val (_, classes, height, width) = logits.shape
    val toNetwork = Grid(Size(height, width), network, content)
    val toOriginal = Grid(content, original, original)
    val whole = listOf(0 until content.width)
    val planes = List(classes) { label ->
        val line = FloatArray(width)
        val inside = ResizedRows(toNetwork) { row ->
            val start = (label * height + row) * width
            line.also { logits.values.copyInto(it, 0, start, start + width) }
        }
        val inNetwork = FloatArray(content.width)
        ResizedRows(toOriginal) { row -> inNetwork.also { inside.read(row, whole, it) } }
    }
    val sure = SureLabels(logits, toNetwork, toOriginal)
    val scores = FloatArray(original.width)
    val best = FloatArray(original.width)
    val labels = IntArray(original.area)
    for (y in 0 until original.height) {
        val start = y * original.width
        sure.row(y).copyInto(labels, start)
        best.fill(Float.NEGATIVE_INFINITY)
        for (label in planes.indices) {
            planes[label].read(y, sure.open, scores)
            for (part in sure.open) {
                for (x in part) {
                    if (scores[x] > best[x]) {
                        best[x] = scores[x]
                        labels[start + x] = label
                    }
                }
            }
        }
    }
    return LabelMap(original, labels)
}

/** How far a class must lead, of the largest logit, so that rounding cannot make its blend another's equal. */
private const val CLEAR_LEAD = 1e-4f

private const val OPEN = 0

/**
 * Labels that need no blending: where one class leads at each of the logits that a pixel blends, it
 * leads in the blend. That is so inside segments, which is most of a picture.
 */
private class SureLabels(logits: Tensor, private val toNetwork: Grid, private val toOriginal: Grid) {
    private val width = logits.shape[3]

    /** The class that leads at each logit plus one, or [OPEN]. */
    private val leaders = leaders(logits)
    private val common = IntArray(width) // of the rows between `top` and `bottom`
    private val labels = IntArray(toOriginal.columns.count)
    private var top = -1
    private var bottom = -1

    /** The parts of the row asked for last that have to be blended. */
    var open = emptyList<IntRange>()
        private set

    /** The labels of row [y], 0 where it is [open]. */
    fun row(y: Int): IntArray {
        val rows = window(toNetwork.rows, toOriginal.rows, y)
        if (rows.first == top && rows.last == bottom) return labels
        top = rows.first
        bottom = rows.last
        for (x in 0 until width) common[x] = shared(rows) { leaders[it * width + x] }
        val parts = mutableListOf<IntRange>()
        var from = -1
        for (x in labels.indices) {
            val leader = shared(window(toNetwork.columns, toOriginal.columns, x)) { common[it] }
            labels[x] = maxOf(leader - 1, 0)
            if (leader == OPEN && from < 0) from = x
            if (leader != OPEN && from >= 0) {
                parts += from until x
                from = -1
            }
        }
        if (from >= 0) parts += from until labels.size
        open = parts
        return labels
    }

    private fun window(first: Taps, second: Taps, i: Int) = first.before[second.before[i]]..first.after[second.after[i]]

    private inline fun shared(places: IntRange, leader: (Int) -> Int): Int {
        val one = leader(places.first)
        for (place in places) if (leader(place) != one) return OPEN
        return one
    }

    private fun leaders(logits: Tensor): IntArray {
        val (_, classes, height, width) = logits.shape
        val area = height * width
        val lead = CLEAR_LEAD * logits.values.maxOf { abs(it) }
        return IntArray(area) { place ->
            var best = Float.NEGATIVE_INFINITY
            var second = Float.NEGATIVE_INFINITY
            var leader = 0
            for (label in 0 until classes) {
                val value = logits.values[label * area + place]
                if (value > best) {
                    second = best
                    best = value
                    leader = label
                } else if (value > second) {
                    second = value
                }
            }
            if (best - second > lead) leader + 1 else OPEN
        }
    }
}

/**
 * Where a bilinear resize takes its values: half-pixel centres and no antialiasing, as PyTorch's
 * `interpolate` does it.
 *
 * @param from size of the source.
 * @param to the size to resize to.
 * @param kept the part of the result, from its upper left corner, that is made.
 */
private class Grid(from: Size, to: Size, kept: Size) {
    val columns = Taps(from.width, to.width, kept.width)
    val rows = Taps(from.height, to.height, kept.height)
}

/**
 * A resized plane, of which rows are read from the top down.
 *
 * @param source a row of the plane; it may be written over once the next is asked for.
 */
private class ResizedRows(private val grid: Grid, private val source: (row: Int) -> FloatArray) {
    private var wanted = emptyList<IntRange>()
    private val wide = LastTwo<FloatArray> { row, replaced ->
        (replaced ?: FloatArray(grid.columns.count)).also { grid.columns.stretch(source(row), wanted, it) }
    }

    /** Writes [parts] of row [y] into their places in [line]. */
    fun read(y: Int, parts: List<IntRange>, line: FloatArray) {
        if (parts !== wanted) wide.forget()
        wanted = parts
        if (parts.isEmpty()) return
        grid.rows.mix(y, wide[grid.rows.before[y]], wide[grid.rows.after[y]], parts, line)
    }
}

/** The two source positions that each of the first [count] of [target] positions lies between. */
private class Taps(length: Int, target: Int, val count: Int) {
    val before = IntArray(count)
    val after = IntArray(count)
    private val first = FloatArray(count) // weights of the two
    private val second = FloatArray(count)

    init {
        val scale = length.toFloat() / target
        for (i in 0 until count) {
            // Without a change of size every position is its own, to the bit.
            val position = if (length == target) i.toFloat() else (scale * (i + 0.5f) - 0.5f).coerceAtLeast(0f)
            before[i] = position.toInt().coerceAtMost(length - 1)
            after[i] = (before[i] + 1).coerceAtMost(length - 1)
            second[i] = (position - before[i]).coerceIn(0f, 1f)
            first[i] = 1f - second[i]
        }
    }

    /** Resizes the row [from] along this axis; [parts] of the result are made. */
    fun stretch(from: FloatArray, parts: List<IntRange>, to: FloatArray) {
        for (part in parts) {
            for (i in part) to[i] = first[i] * from[before[i]] + second[i] * from[after[i]]
        }
    }

    /** [parts] of the row at position [i] of this axis, from the two rows that it lies between. */
    fun mix(i: Int, upper: FloatArray, lower: FloatArray, parts: List<IntRange>, to: FloatArray) {
        val a = first[i]
        val b = second[i]
        for (part in parts) {
            for (x in part) to[x] = a * upper[x] + b * lower[x]
        }
    }
}
