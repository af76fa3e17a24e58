package org.lvtmobile.core

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlin.math.floor
import kotlin.math.round

/** Resampling filter. The Python implementation gives the same bytes. */
@Serializable
enum class ResizeFilter {
    /** Samples four pixels at any scale: no antialiasing. */
    @SerialName("opencv_bilinear")
    OPENCV_BILINEAR,

    /** The kernel widens with the reduction factor: antialiased. */
    @SerialName("pillow_bilinear")
    PILLOW_BILINEAR,

    /** The kernel widens with the reduction factor: antialiased. */
    @SerialName("pillow_bicubic")
    PILLOW_BICUBIC,
}

/** Resizes a picture to [size]. The result is rounded to 8 bits. */
internal fun resize(picture: Picture, size: Size, filter: ResizeFilter): Picture = when {
    picture.size == size -> picture
    filter == ResizeFilter.OPENCV_BILINEAR -> opencvBilinear(picture, size)
    filter == ResizeFilter.PILLOW_BILINEAR -> pillowResize(picture, size, Kernel.BILINEAR)
    else -> pillowResize(picture, size, Kernel.BICUBIC)
}

/** OpenCV's fixed-point bilinear weights are multiples of 1/2048. */
private const val WEIGHT_SCALE = 1 shl 11

/**
 * Source positions of the target positions along one axis.
 *
 * @property left index of the left neighbour; it can be outside the image.
 * @property rightWeight weight of the right neighbour, 0 to 1.
 */
private class OpencvTaps(length: Int, target: Int) {
    val left = IntArray(target)
    val rightWeight = FloatArray(target)

    init {
        val scale = 1.0 / (target.toDouble() / length) // OpenCV inverts the ratio twice; this affects the last bit
        for (i in 0 until target) {
            val centre = ((i + 0.5) * scale - 0.5).toFloat()
            val below = floor(centre)
            left[i] = below.toInt()
            rightWeight[i] = centre - below
        }
    }
}

/** Converts to units of 1/2048, rounded half to even. */
private fun toFixedPoint(weight: Float): Int = round(weight * WEIGHT_SCALE).toInt()

private fun opencvBilinear(picture: Picture, size: Size): Picture {
    val (height, width) = picture.size
    val columns = OpencvTaps(width, size.width)
    // Outside the image, the border column has the full weight.
    for (x in 0 until size.width) {
        if (columns.left[x] !in 0 until width - 1) columns.rightWeight[x] = 0f
        columns.left[x] = columns.left[x].coerceIn(0, width - 1)
    }
    val leftWeights = IntArray(size.width) { toFixedPoint(1f - columns.rightWeight[it]) }
    val rightWeights = IntArray(size.width) { toFixedPoint(columns.rightWeight[it]) }

    // Resizes a source row to the target width. The result is (width, 3) in units of 1/2048.
    fun resizeRow(row: Int, evicted: IntArray?): IntArray {
        val result = evicted ?: IntArray(Picture.CHANNELS * size.width)
        for (x in 0 until size.width) {
            val left = Picture.CHANNELS * (row * width + columns.left[x])
            val right = Picture.CHANNELS * (row * width + (columns.left[x] + 1).coerceAtMost(width - 1))
            for (c in 0 until Picture.CHANNELS) {
                result[Picture.CHANNELS * x + c] =
                    (picture.rgb[left + c].toInt() and 0xff) * leftWeights[x] +
                    (picture.rgb[right + c].toInt() and 0xff) * rightWeights[x]
            }
        }
        return result
    }

    val rows = OpencvTaps(height, size.height)
    val resizedRows = RowCache(::resizeRow)
    val rgb = ByteArray(Picture.CHANNELS * size.area)
    for (y in 0 until size.height) {
        // Outside the image, both neighbours are the border row. Each keeps its own weight.
        val upper = resizedRows[rows.left[y].coerceIn(0, height - 1)]
        val lower = resizedRows[(rows.left[y] + 1).coerceIn(0, height - 1)]
        val upperWeight = toFixedPoint(1f - rows.rightWeight[y])
        val lowerWeight = toFixedPoint(rows.rightWeight[y])
        val start = y * upper.size
        for (i in upper.indices) {
            val total = (upperWeight * (upper[i] shr 4) shr 16) + (lowerWeight * (lower[i] shr 4) shr 16)
            rgb[start + i] = (total + 2 shr 2).toByte()
        }
    }
    return Picture(size, rgb)
}
