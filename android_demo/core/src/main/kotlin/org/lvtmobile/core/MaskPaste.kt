package org.lvtmobile.core

import kotlin.math.floor

/** A box: x1, y1, x2, y2 in pixels of an image. It may extend beyond the image. */
data class Box(val x1: Float, val y1: Float, val x2: Float, val y2: Float)

/**
 * The probability that a pixel belongs to an instance, for a rectangle of an image. Outside the
 * rectangle the probability is 0.
 *
 * @property rows rows of the image that the rectangle spans.
 * @property columns columns of the image that the rectangle spans.
 * @property values (rows, columns), row-major.
 */
class PastedMask(val rows: IntRange, val columns: IntRange, val values: FloatArray) {
    /** Calls [action] with the index, in an image of [width], of each pixel with a probability >= [threshold]. */
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
 * Bilinear sampling positions of one image axis in a mask that is padded with one zero cell on each side.
 *
 * [cell] is the index in the padded mask of the cell before each pixel, [share] the weight of the cell
 * after it.
 */
private class MaskTaps(low: Float, high: Float, pixels: Int, cells: Int) {
    val cell = IntArray(pixels)
    val share = FloatArray(pixels)

    /** Pixels with a non-zero probability along this axis: those that do not sample padding only. */
    val inside: IntRange

    init {
        var first = pixels
        var last = -1
        for (i in 0 until pixels) {
            // For a box of length 0, every pixel samples the centre of the mask. The official code has the
            // same result, from its division by zero.
            val unclamped = if (high > low) (i + 0.5f - low) / (high - low) * cells - 0.5f else (cells - 1) / 2f
            val position = unclamped.coerceIn(-1f, cells.toFloat()) // -1 and `cells` are the padding cells
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
 * Resamples the mask of a box to the pixels of an image.
 *
 * Each pixel centre samples the mask bilinearly at its relative position in the box. Outside the mask
 * the probability is 0, so the mask fades out over half a cell around the box.
 *
 * @param mask probabilities (cells, cells), starting at index [offset].
 * @param size size of the image.
 */
fun pasteMask(mask: FloatArray, offset: Int, cells: Int, box: Box, size: Size): PastedMask {
    val vertical = MaskTaps(box.y1, box.y2, size.height, cells)
    val horizontal = MaskTaps(box.x1, box.x2, size.width, cells)
    val values = FloatArray(vertical.inside.count() * horizontal.inside.count())
    val paddedRow = FloatArray(cells + 2) // one interpolated row of the mask, with one zero cell on each side
    var next = 0
    for (y in vertical.inside) {
        val above = vertical.cell[y] - 1
        for (x in 0 until cells) {
            fun at(row: Int) = if (row in 0 until cells) mask[offset + row * cells + x] else 0f
            paddedRow[x + 1] = interpolate(at(above), at(above + 1), vertical.share[y])
        }
        for (x in horizontal.inside) {
            val column = horizontal.cell[x]
            values[next++] = interpolate(paddedRow[column], paddedRow[column + 1], horizontal.share[x])
        }
    }
    return PastedMask(vertical.inside, horizontal.inside, values)
}

private fun interpolate(before: Float, after: Float, share: Float): Float = before * (1f - share) + after * share
