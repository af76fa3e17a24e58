package org.lvtmobile.core

import kotlin.math.floor

/**
 * A box: x1, y1, x2, y2 in pixels of an image that it may leave.
 */
data class Box(val x1: Float, val y1: Float, val x2: Float, val y2: Float)

/**
 * The probability that each pixel of a part of an image belongs to an instance; zero elsewhere.
 *
 * @property rows of the image that the part spans.
 * @property columns of the image that the part spans.
 * @property values (rows, columns), row by row.
 */
class PastedMask(val rows: IntRange, val columns: IntRange, val values: FloatArray) {
    /** Calls [action] with the index in an image of [width] of each pixel from [threshold] on. */
    inline fun forEachPixel(width: Int, threshold: Float, action: (Int) -> Unit) {
        var next = 0
        for (y in rows) {
            for (x in columns) {
                if (values[next++] >= threshold) action(y * width + x)
            }
        }
    }
}

/**
 * Where the pixels of one axis fall in a mask that has a ring of one zero cell around it.
 *
 * [cell] is the cell before each pixel, counted from the ring, [share] that of the cell after it.
 */
private class CellTaps(low: Float, high: Float, pixels: Int, cells: Int) {
    val cell = IntArray(pixels)
    val share = FloatArray(pixels)

    /** The pixels that are not on the ring, where every probability is zero. */
    val inside: IntRange

    init {
        var first = pixels
        var last = -1
        for (i in 0 until pixels) {
            // A box without length shows its middle everywhere along the axis: what the official
            // code makes of the division by zero.
            val free = if (high > low) (i + 0.5f - low) / (high - low) * cells - 0.5f else (cells - 1) / 2f
            val position = free.coerceIn(-1f, cells.toFloat()) // on the ring, in which everything beyond ends
            val before = floor(position)
            cell[i] = before.toInt() + 1
            share[i] = position - before
            if (position > -1 && position < cells) {
                first = minOf(first, i)
                last = i
            }
        }
        inside = first..last
    }
}

/**
 * Draws the small mask of a box into an image.
 *
 * Each pixel centre samples the mask bilinearly at its relative place in the box. Outside the mask
 * the probability is zero, so a mask fades out over the half cell around its box.
 *
 * @param mask probabilities (cells, cells), from index [offset] on.
 * @param size of the image.
 */
fun pasteMask(mask: FloatArray, offset: Int, cells: Int, box: Box, size: Size): PastedMask {
    val vertical = CellTaps(box.y1, box.y2, size.height, cells)
    val horizontal = CellTaps(box.x1, box.x2, size.width, cells)
    val values = FloatArray(vertical.inside.count() * horizontal.inside.count())
    val ringed = FloatArray(cells + 2) // one row of the mask with its ring
    var next = 0
    for (y in vertical.inside) {
        val above = vertical.cell[y] - 1
        for (x in 0 until cells) {
            fun at(row: Int) = if (row in 0 until cells) mask[offset + row * cells + x] else 0f
            ringed[x + 1] = between(at(above), at(above + 1), vertical.share[y])
        }
        for (x in horizontal.inside) {
            val column = horizontal.cell[x]
            values[next++] = between(ringed[column], ringed[column + 1], horizontal.share[x])
        }
    }
    return PastedMask(vertical.inside, horizontal.inside, values)
}

private fun between(before: Float, after: Float, share: Float): Float = before * (1f - share) + after * share
