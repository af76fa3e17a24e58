package org.lvtmobile.app

import org.lvtmobile.core.Size
import java.nio.ByteBuffer

/**
 * A camera's picture as YUV_420_888, copied out of its buffers so that they can go back at once.
 *
 * Luma has a value a pixel, the two chroma planes one for two by two pixels. Strides are in bytes.
 */
class Yuv {
    private var size = Size(1, 1)
    private val luma = Plane()
    private val blue = Plane()
    private val red = Plane()

    /** One plane; its memory is used again. */
    private class Plane {
        var bytes = ByteArray(0)
        var rowStride = 0
        var pixelStride = 0

        fun copy(buffer: ByteBuffer, rowStride: Int, pixelStride: Int) {
            if (bytes.size != buffer.remaining()) bytes = ByteArray(buffer.remaining())
            buffer.get(bytes)
            this.rowStride = rowStride
            this.pixelStride = pixelStride
        }
    }

    /** Starts a picture of [size], as the sensor sees it; the three planes follow. */
    fun begin(size: Size) {
        this.size = size
    }

    /** Copies plane [index]: luma, blue, red. */
    fun plane(index: Int, buffer: ByteBuffer, rowStride: Int, pixelStride: Int) {
        listOf(luma, blue, red)[index].copy(buffer, rowStride, pixelStride)
    }

    /**
     * Makes RGB of it, upright: BT.601, full range, which is what Android's cameras deliver.
     *
     * @param turn degrees clockwise, a multiple of 90.
     */
    fun toFrame(turn: Int, frame: Frame) {
        val (height, width) = size
        val sideways = turn % 180 != 0
        frame.prepare(if (sideways) Size(width, height) else size)
        val (rows, columns) = frame.size
        for (row in 0 until rows) {
            for (column in 0 until columns) {
                val x: Int
                val y: Int
                when (turn) {
                    0 -> { x = column; y = row }
                    90 -> { x = row; y = height - 1 - column }
                    180 -> { x = width - 1 - column; y = height - 1 - row }
                    else -> { x = width - 1 - row; y = column }
                }
                frame.argb[row * columns + column] = argb(x, y)
            }
        }
    }

    private fun argb(x: Int, y: Int): Int {
        val light = luma.bytes[y * luma.rowStride + x * luma.pixelStride].toInt() and 0xff
        val u = (blue.bytes[y / 2 * blue.rowStride + x / 2 * blue.pixelStride].toInt() and 0xff) - 128
        val v = (red.bytes[y / 2 * red.rowStride + x / 2 * red.pixelStride].toInt() and 0xff) - 128
        // Coefficients in 1/65536.
        val r = light + (91881 * v + HALF shr 16)
        val g = light - (22554 * u + 46802 * v + HALF shr 16)
        val b = light + (116130 * u + HALF shr 16)
        return (0xff shl 24) or (clip(r) shl 16) or (clip(g) shl 8) or clip(b)
    }
}

private const val HALF = 1 shl 15

private fun clip(value: Int): Int = if (value < 0) 0 else if (value > 255) 255 else value

/**
 * Degrees clockwise that make a sensor's picture upright on the screen.
 *
 * @param sensor the sensor's orientation in the phone.
 * @param display how far the screen's content is turned from the phone's natural position.
 */
fun uprightTurn(sensor: Int, display: Int, facingFront: Boolean): Int =
    (if (facingFront) sensor + display else sensor - display + 360) % 360

/**
 * The smallest of a camera's sizes that is nowhere smaller than the network's input, else the largest.
 *
 * Postprocessing works at the picture's size, so anything larger only costs time. The sensor may
 * lie on its side, so sides are compared long with long.
 */
fun chooseStream(sizes: List<Size>, network: Size): Size {
    fun long(size: Size) = maxOf(size.height, size.width)
    fun short(size: Size) = minOf(size.height, size.width)
    val enough = sizes.filter { long(it) >= long(network) && short(it) >= short(network) }
    return enough.minByOrNull { it.area } ?: sizes.maxBy { it.area }
}
