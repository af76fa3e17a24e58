package org.lvtmobile.core

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
    val planes = List(classes) { label ->
        val line = FloatArray(width)
        val inside = ResizedRows(toNetwork) { row ->
            val start = (label * height + row) * width
            line.also { logits.values.copyInto(it, 0, start, start + width) }
        }
        val inNetwork = FloatArray(content.width)
        ResizedRows(toOriginal) { row -> inNetwork.also { inside.read(row, it) } }
    }
    val scores = FloatArray(original.width)
    val best = FloatArray(original.width)
    val labels = IntArray(original.area)
    for (y in 0 until original.height) {
        val start = y * original.width
        best.fill(Float.NEGATIVE_INFINITY)
        for (label in planes.indices) {
            planes[label].read(y, scores)
            for (x in scores.indices) {
                if (scores[x] > best[x]) {
                    best[x] = scores[x]
                    labels[start + x] = label
                }
            }
        }
    }
    return LabelMap(original, labels)
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
    private val wide = LastTwo<FloatArray> { row, replaced ->
        (replaced ?: FloatArray(grid.columns.count)).also { grid.columns.stretch(source(row), it) }
    }

    /** Writes row [y] into [line]. */
    fun read(y: Int, line: FloatArray) =
        grid.rows.mix(y, wide[grid.rows.before[y]], wide[grid.rows.after[y]], line)
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

    /** Resizes the row [from] along this axis. */
    fun stretch(from: FloatArray, to: FloatArray) {
        for (i in 0 until count) to[i] = first[i] * from[before[i]] + second[i] * from[after[i]]
    }

    /** The row at position [i] of this axis, from the two that it lies between. */
    fun mix(i: Int, upper: FloatArray, lower: FloatArray, to: FloatArray) {
        val a = first[i]
        val b = second[i]
        for (x in to.indices) to[x] = a * upper[x] + b * lower[x]
    }
}
