package org.lvtmobile.core

import kotlin.math.abs

/**
 * One integer per pixel.
 *
 * @property values (height, width), row-major.
 */
class LabelMap(val size: Size, val values: IntArray) {
    init {
        require(values.size == size.area) { "${values.size} values for a map of $size" }
    }
}

/**
 * Converts semantic logits to class indices at the size of the picture.
 *
 * As in the official evaluation: bilinear resize to the size of the network input, crop of the
 * padding, bilinear resize to the original size, argmax. It runs row by row, so that the memory does
 * not depend on the height of the picture and stays in the processor's cache.
 *
 * @param logits (1, K, h, w), at a quarter of the network input size.
 * @param network size of the network input.
 * @param content size of the picture inside the network input, without padding.
 * @param original size of the original picture, and of the result.
 */
fun labelMap(logits: Tensor, network: Size, content: Size, original: Size): LabelMap {
    val (_, classes, height, width) = logits.shape
    val toNetwork = BilinearGrid(Size(height, width), network, content)
    val toOriginal = BilinearGrid(content, original, original)
    val fullRow = listOf(0 until content.width)
    val planes = List(classes) { label ->
        val logitRow = FloatArray(width)
        val networkRows = ResizedRows(toNetwork) { row ->
            val start = (label * height + row) * width
            logitRow.also { logits.values.copyInto(it, 0, start, start + width) }
        }
        val networkRow = FloatArray(content.width)
        ResizedRows(toOriginal) { row -> networkRow.also { networkRows.read(row, fullRow, it) } }
    }
    val unanimous = UnanimousLabels(logits, toNetwork, toOriginal)
    val scores = FloatArray(original.width)
    val best = FloatArray(original.width)
    val labels = IntArray(original.area)
    for (y in 0 until original.height) {
        val start = y * original.width
        unanimous.row(y).copyInto(labels, start)
        best.fill(Float.NEGATIVE_INFINITY)
        for (label in planes.indices) {
            planes[label].read(y, unanimous.undecided, scores)
            for (range in unanimous.undecided) {
                for (x in range) {
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

/** Minimum margin of the top class, as a share of the largest logit, so that rounding cannot change the argmax. */
private const val MIN_MARGIN = 1e-4f

private const val NO_TOP_CLASS = 0

/**
 * Labels of pixels that need no interpolation: if one class is the top class at all logits that a
 * pixel interpolates, it is also the top class of the result. This holds inside segments, which cover
 * most of a picture.
 */
private class UnanimousLabels(
    logits: Tensor,
    private val toNetwork: BilinearGrid,
    private val toOriginal: BilinearGrid,
) {
    private val width = logits.shape[3]

    /** The top class plus one for each logit position, or [NO_TOP_CLASS]. */
    private val topClasses = topClasses(logits)
    private val columnClasses = IntArray(width) // unanimous over the rows from `top` to `bottom`
    private val labels = IntArray(toOriginal.columns.count)
    private var top = -1
    private var bottom = -1

    /** Column ranges of the last requested row that need interpolation. */
    var undecided = emptyList<IntRange>()
        private set

    /** Labels of row [y]; 0 for [undecided] pixels. */
    fun row(y: Int): IntArray {
        val rows = sourceRange(toNetwork.rows, toOriginal.rows, y)
        if (rows.first == top && rows.last == bottom) return labels
        top = rows.first
        bottom = rows.last
        for (x in 0 until width) columnClasses[x] = unanimousClass(rows) { topClasses[it * width + x] }
        val ranges = mutableListOf<IntRange>()
        var from = -1
        for (x in labels.indices) {
            val topClass = unanimousClass(sourceRange(toNetwork.columns, toOriginal.columns, x)) { columnClasses[it] }
            labels[x] = maxOf(topClass - 1, 0)
            if (topClass == NO_TOP_CLASS && from < 0) from = x
            if (topClass != NO_TOP_CLASS && from >= 0) {
                ranges += from until x
                from = -1
            }
        }
        if (from >= 0) ranges += from until labels.size
        undecided = ranges
        return labels
    }

    /** The logit positions that position [i] depends on, after both resizes. */
    private fun sourceRange(first: BilinearTaps, second: BilinearTaps, i: Int) =
        first.before[second.before[i]]..first.after[second.after[i]]

    private inline fun unanimousClass(positions: IntRange, topClass: (Int) -> Int): Int {
        val candidate = topClass(positions.first)
        for (position in positions) if (topClass(position) != candidate) return NO_TOP_CLASS
        return candidate
    }

    private fun topClasses(logits: Tensor): IntArray {
        val (_, classes, height, width) = logits.shape
        val area = height * width
        val margin = MIN_MARGIN * logits.values.maxOf { abs(it) }
        return IntArray(area) { position ->
            var best = Float.NEGATIVE_INFINITY
            var second = Float.NEGATIVE_INFINITY
            var bestLabel = 0
            for (label in 0 until classes) {
                val value = logits.values[label * area + position]
                if (value > best) {
                    second = best
                    best = value
                    bestLabel = label
                } else if (value > second) {
                    second = value
                }
            }
            if (best - second > margin) bestLabel + 1 else NO_TOP_CLASS
        }
    }
}

/**
 * The sampling grid of a bilinear resize with half-pixel centres and without antialiasing, as in
 * PyTorch's `interpolate`.
 *
 * @param from size of the source.
 * @param to size of the result.
 * @param crop size of the upper left part of the result that is computed.
 */
private class BilinearGrid(from: Size, to: Size, crop: Size) {
    val columns = BilinearTaps(from.width, to.width, crop.width)
    val rows = BilinearTaps(from.height, to.height, crop.height)
}

/**
 * A resized plane that is read row by row, from top to bottom.
 *
 * @param source returns a row of the source plane. The array may be overwritten by the next call.
 */
private class ResizedRows(private val grid: BilinearGrid, private val source: (row: Int) -> FloatArray) {
    private var cachedRanges = emptyList<IntRange>()
    private val widenedRows = RowCache<FloatArray> { row, evicted ->
        (evicted ?: FloatArray(grid.columns.count)).also { grid.columns.resizeRow(source(row), cachedRanges, it) }
    }

    /** Writes the column [ranges] of row [y] to [target]. */
    fun read(y: Int, ranges: List<IntRange>, target: FloatArray) {
        if (ranges !== cachedRanges) widenedRows.clear()
        cachedRanges = ranges
        if (ranges.isEmpty()) return
        grid.rows.blendRows(y, widenedRows[grid.rows.before[y]], widenedRows[grid.rows.after[y]], ranges, target)
    }
}

/** Source positions and weights along one axis, for the first [count] of [target] positions. */
private class BilinearTaps(length: Int, target: Int, val count: Int) {
    val before = IntArray(count)
    val after = IntArray(count)
    private val weightBefore = FloatArray(count)
    private val weightAfter = FloatArray(count)

    init {
        val scale = length.toFloat() / target
        for (i in 0 until count) {
            // If the size does not change, each position must map to itself exactly.
            val position = if (length == target) i.toFloat() else (scale * (i + 0.5f) - 0.5f).coerceAtLeast(0f)
            before[i] = position.toInt().coerceAtMost(length - 1)
            after[i] = (before[i] + 1).coerceAtMost(length - 1)
            weightAfter[i] = (position - before[i]).coerceIn(0f, 1f)
            weightBefore[i] = 1f - weightAfter[i]
        }
    }

    /** Resizes the row [from] along this axis. Computes the given [ranges] of the result. */
    fun resizeRow(from: FloatArray, ranges: List<IntRange>, to: FloatArray) {
        for (range in ranges) {
            for (i in range) to[i] = weightBefore[i] * from[before[i]] + weightAfter[i] * from[after[i]]
        }
    }

    /** Interpolates the row at position [i] of this axis from its two source rows. Computes the given [ranges]. */
    fun blendRows(i: Int, upper: FloatArray, lower: FloatArray, ranges: List<IntRange>, to: FloatArray) {
        val weightUpper = weightBefore[i]
        val weightLower = weightAfter[i]
        for (range in ranges) {
            for (x in range) to[x] = weightUpper * upper[x] + weightLower * lower[x]
        }
    }
}
