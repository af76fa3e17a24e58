package org.lvtmobile.core

import kotlin.math.abs
import kotlin.math.ceil

/**
 * A resampling kernel.
 *
 * @property support half its width, in source pixels at scale 1.
 * @property at its value at a distance.
 */
internal enum class Kernel(val support: Double, val at: (Double) -> Double) {
    BILINEAR(1.0, { (1 - abs(it)).coerceAtLeast(0.0) }),

    /** The cubic of Catmull and Rom. */
    BICUBIC(2.0, { distance ->
        val x = abs(distance)
        when {
            x < 1 -> (1.5 * x - 2.5) * x * x + 1
            x < 2 -> (((x - 5) * x + 8) * x - 4) * -0.5
            else -> 0.0
        }
    }),
}

/** Pillow's weights are multiples of 2^-22. */
private const val PRECISION = 22

/** The source pixels that one target position is made of: [weights] from index [first] on. */
private class Window(val first: Int, val weights: IntArray)

private fun windows(length: Int, target: Int, kernel: Kernel): Array<Window> {
    val scale = length.toDouble() / target
    val stretch = scale.coerceAtLeast(1.0)
    val support = kernel.support * stretch
    return Array(target) { i ->
        val centre = (i + 0.5) * scale
        val first = (centre - support + 0.5).toInt().coerceAtLeast(0)
        val end = (centre + support + 0.5).toInt().coerceAtMost(length)
        val raw = DoubleArray(end - first) { kernel.at((it + first - centre + 0.5) * (1.0 / stretch)) }
        val sum = raw.sum()
        Window(first, IntArray(raw.size) { fixed(raw[it] / sum) })
    }
}

/** In units of 2^-22, rounded half away from zero. */
private fun fixed(weight: Double): Int {
    val scaled = weight * (1 shl PRECISION)
    return (if (scaled < 0) scaled - 0.5 else scaled + 0.5).toInt()
}

/** Columns first, then rows, rounded to 8 bits each time, as `lvt/data/resize.py` has Pillow do it. */
internal fun pillowResize(picture: Picture, size: Size, kernel: Kernel): Picture {
    val (height, width) = picture.size
    val columns = windows(width, size.width, kernel)
    val rows = windows(height, size.height, kernel)
    val pixel = Picture.CHANNELS
    val line = pixel * size.width
    val wide = ByteArray(height * line)
    for (y in 0 until height) {
        for (x in 0 until size.width) {
            val first = pixel * (y * width + columns[x].first)
            blend(columns[x].weights, picture.rgb, first, pixel, wide, y * line + pixel * x, pixel)
        }
    }
    val rgb = ByteArray(size.height * line)
    for (y in 0 until size.height) {
        blend(rows[y].weights, wide, rows[y].first * line, line, rgb, y * line, line)
    }
    return Picture(size, rgb)
}

/**
 * [count] weighted sums of bytes, side by side.
 *
 * @param from index in [source] of what the first weight is for.
 * @param step distance in [source] between what two neighbouring weights are for.
 * @param to index in [target] of the first sum.
 */
private fun blend(
    weights: IntArray,
    source: ByteArray,
    from: Int,
    step: Int,
    target: ByteArray,
    to: Int,
    count: Int,
) {
    for (i in 0 until count) {
        var sum = 1 shl PRECISION - 1
        for (tap in weights.indices) {
            sum += (source[from + i + tap * step].toInt() and 0xff) * weights[tap]
        }
        target[to + i] = (sum shr PRECISION).coerceIn(0, 255).toByte()
    }
}
