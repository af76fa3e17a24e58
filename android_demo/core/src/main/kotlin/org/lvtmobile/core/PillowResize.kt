package org.lvtmobile.core

import kotlin.math.abs

/**
 * A resampling kernel.
 *
 * @property support half of the kernel width, in source pixels at scale 1.
 * @property at kernel value at a distance.
 */
internal enum class Kernel(val support: Double, val at: (Double) -> Double) {
    BILINEAR(1.0, { (1 - abs(it)).coerceAtLeast(0.0) }),

    /** Catmull-Rom cubic kernel. */
    BICUBIC(2.0, { distance ->
        val x = abs(distance)
        when {
            x < 1 -> (1.5 * x - 2.5) * x * x + 1
            x < 2 -> (((x - 5) * x + 8) * x - 4) * -0.5
            else -> 0.0
        }
    }),
}

/** Pillow's fixed-point weights are multiples of 2^-22. */
private const val PRECISION_BITS = 22

/** Source window of one target position: fixed-point [weights] for the pixels from index [first]. */
private class FilterWindow(val first: Int, val weights: IntArray)

private fun filterWindows(length: Int, target: Int, kernel: Kernel): Array<FilterWindow> {
    val scale = length.toDouble() / target
    val filterScale = scale.coerceAtLeast(1.0)
    val support = kernel.support * filterScale
    return Array(target) { i ->
        val centre = (i + 0.5) * scale
        val first = (centre - support + 0.5).toInt().coerceAtLeast(0)
        val end = (centre + support + 0.5).toInt().coerceAtMost(length)
        val raw = DoubleArray(end - first) { kernel.at((it + first - centre + 0.5) * (1.0 / filterScale)) }
        val sum = raw.sum()
        FilterWindow(first, IntArray(raw.size) { toFixedPoint(raw[it] / sum) })
    }
}

/** Converts to units of 2^-22, rounded half away from zero. */
private fun toFixedPoint(weight: Double): Int {
    val scaled = weight * (1 shl PRECISION_BITS)
    return (if (scaled < 0) scaled - 0.5 else scaled + 0.5).toInt()
}

/** Resizes columns, then rows, as Pillow does. Each pass rounds to 8 bits. */
internal fun pillowResize(picture: Picture, size: Size, kernel: Kernel): Picture {
    val (height, width) = picture.size
    val columns = filterWindows(width, size.width, kernel)
    val rows = filterWindows(height, size.height, kernel)
    val pixel = Picture.CHANNELS
    val line = pixel * size.width
    val resizedColumns = ByteArray(height * line)
    for (y in 0 until height) {
        for (x in 0 until size.width) {
            val first = pixel * (y * width + columns[x].first)
            weightedSums(columns[x].weights, picture.rgb, first, pixel, resizedColumns, y * line + pixel * x, pixel)
        }
    }
    val rgb = ByteArray(size.height * line)
    for (y in 0 until size.height) {
        weightedSums(rows[y].weights, resizedColumns, rows[y].first * line, line, rgb, y * line, line)
    }
    return Picture(size, rgb)
}

/**
 * Computes [count] weighted sums of bytes at consecutive positions.
 *
 * @param from index in [source] of the value for the first weight.
 * @param step distance in [source] between the values of two consecutive weights.
 * @param to index in [target] of the first sum.
 */
private fun weightedSums(
    weights: IntArray,
    source: ByteArray,
    from: Int,
    step: Int,
    target: ByteArray,
    to: Int,
    count: Int,
) {
    for (i in 0 until count) {
        var sum = 1 shl PRECISION_BITS - 1
        for (tap in weights.indices) {
            sum += (source[from + i + tap * step].toInt() and 0xff) * weights[tap]
        }
        target[to + i] = (sum shr PRECISION_BITS).coerceIn(0, 255).toByte()
    }
}
