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
 * again to the original size, highest class. One class at a time, so that memory does not grow
 * with their number.
 *
 * @param logits (1, K, h, w), at a quarter of the network's input size.
 * @param network size of the network's input.
 * @param content of the picture in it, without padding.
 * @param original of the picture the labels are wanted for.
 */
fun labelMap(logits: Tensor, network: Size, content: Size, original: Size): LabelMap {
    val (_, classes, height, width) = logits.shape
    val quarter = Size(height, width)
    val best = FloatArray(original.area) { Float.NEGATIVE_INFINITY }
    val labels = IntArray(original.area)
    for (label in 0 until classes) {
        val plane = logits.values.copyOfRange(label * quarter.area, (label + 1) * quarter.area)
        val inside = resizedPlane(plane, quarter, network, content)
        val scores = resizedPlane(inside, content, original, original)
        for (i in scores.indices) {
            if (scores[i] > best[i]) {
                best[i] = scores[i]
                labels[i] = label
            }
        }
    }
    return LabelMap(original, labels)
}

/**
 * Bilinear resize with half-pixel centres and no antialiasing, as PyTorch's `interpolate` does it.
 *
 * @param plane values of size [from].
 * @param to the size to resize to.
 * @param kept the part of the result, from its upper left corner, that is made.
 */
private fun resizedPlane(plane: FloatArray, from: Size, to: Size, kept: Size): FloatArray {
    if (from == to && to == kept) return plane
    val columns = Taps(from.width, to.width, kept.width)
    val rows = Taps(from.height, to.height, kept.height)
    val wide = LastTwo { y ->
        FloatArray(kept.width) { x ->
            columns.blend(x, plane[y * from.width + columns.before[x]], plane[y * from.width + columns.after[x]])
        }
    }
    val result = FloatArray(kept.area)
    for (y in 0 until kept.height) {
        val upper = wide[rows.before[y]]
        val lower = wide[rows.after[y]]
        for (x in 0 until kept.width) result[y * kept.width + x] = rows.blend(y, upper[x], lower[x])
    }
    return result
}

/** The two source positions that each of the first [count] of [target] positions lies between. */
private class Taps(length: Int, target: Int, count: Int) {
    val before = IntArray(count)
    val after = IntArray(count)
    private val share = FloatArray(count)

    init {
        val scale = length.toFloat() / target
        for (i in 0 until count) {
            // Without a change of size every position is its own, to the bit.
            val position = if (length == target) i.toFloat() else (scale * (i + 0.5f) - 0.5f).coerceAtLeast(0f)
            before[i] = position.toInt().coerceAtMost(length - 1)
            after[i] = (before[i] + 1).coerceAtMost(length - 1)
            share[i] = (position - before[i]).coerceIn(0f, 1f)
        }
    }

    fun blend(i: Int, first: Float, second: Float): Float = (1f - share[i]) * first + share[i] * second
}
