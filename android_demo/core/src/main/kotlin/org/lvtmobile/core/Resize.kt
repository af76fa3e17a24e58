package org.lvtmobile.core

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlin.math.floor
import kotlin.math.round

/** How a picture is resampled; `lvt/data/resize.py` gives the same bytes. */
@Serializable
enum class ResizeFilter {
    /** Samples four pixels whatever the scale: no antialiasing. */
    @SerialName("opencv_bilinear")
    OPENCV_BILINEAR,

    /** Widens with the reduction factor: antialiased. */
    @SerialName("pillow_bilinear")
    PILLOW_BILINEAR,

    /** Widens with the reduction factor: antialiased. */
    @SerialName("pillow_bicubic")
    PILLOW_BICUBIC,
}

/** A picture of another [size]; rounded to 8 bits. */
internal fun resize(picture: Picture, size: Size, filter: ResizeFilter): Picture = when {
    picture.size == size -> picture
    filter == ResizeFilter.OPENCV_BILINEAR -> opencvBilinear(picture, size)
    filter == ResizeFilter.PILLOW_BILINEAR -> pillowResize(picture, size, Kernel.BILINEAR)
    else -> pillowResize(picture, size, Kernel.BICUBIC)
}

/** OpenCV's bilinear weights are multiples of 1/2048. */
private const val WEIGHT_ONE = 1 shl 11

/**
 * Where the target positions of one axis fall in the source.
 *
 * @property left index of the left neighbour; it may lie outside.
 * @property right weight of the right neighbour, 0 to 1.
 */
private class Positions(length: Int, target: Int) {
    val left = IntArray(target)
    val right = FloatArray(target)

    init {
        val scale = 1.0 / (target.toDouble() / length) // OpenCV inverts the inverse; the last bit matters
        for (i in 0 until target) {
            val centre = ((i + 0.5) * scale - 0.5).toFloat()
            val below = floor(centre)
            left[i] = below.toInt()
            right[i] = centre - below
        }
    }
}

/** In 1/2048, rounded half to even. */
private fun weight(share: Float): Int = round(share * WEIGHT_ONE).toInt()

private fun opencvBilinear(picture: Picture, size: Size): Picture {
    val (height, width) = picture.size
    val columns = Positions(width, size.width)
    // Outside the image the border column has the whole weight.
    for (x in 0 until size.width) {
        if (columns.left[x] !in 0 until width - 1) columns.right[x] = 0f
        columns.left[x] = columns.left[x].coerceIn(0, width - 1)
    }
    val a0 = IntArray(size.width) { weight(1f - columns.right[it]) }
    val a1 = IntArray(size.width) { weight(columns.right[it]) }

    // A source row resized to the target's width, in 1/2048: (width, 3).
    fun wide(row: Int, replaced: IntArray?): IntArray {
        val result = replaced ?: IntArray(Picture.CHANNELS * size.width)
        for (x in 0 until size.width) {
            val left = Picture.CHANNELS * (row * width + columns.left[x])
            val right = Picture.CHANNELS * (row * width + (columns.left[x] + 1).coerceAtMost(width - 1))
            for (c in 0 until Picture.CHANNELS) {
                result[Picture.CHANNELS * x + c] =
                    (picture.rgb[left + c].toInt() and 0xff) * a0[x] +
                    (picture.rgb[right + c].toInt() and 0xff) * a1[x]
            }
        }
        return result
    }

    val rows = Positions(height, size.height)
    val recent = LastTwo(::wide)
    val rgb = ByteArray(Picture.CHANNELS * size.area)
    for (y in 0 until size.height) {
        // Outside the image both neighbours are the border row, with their own weights.
        val upper = recent[rows.left[y].coerceIn(0, height - 1)]
        val lower = recent[(rows.left[y] + 1).coerceIn(0, height - 1)]
        val b0 = weight(1f - rows.right[y])
        val b1 = weight(rows.right[y])
        val start = y * upper.size
        for (i in upper.indices) {
            val total = (b0 * (upper[i] shr 4) shr 16) + (b1 * (lower[i] shr 4) shr 16)
            rgb[start + i] = (total + 2 shr 2).toByte()
        }
    }
    return Picture(size, rgb)
}
