package org.lvtmobile.app

import org.lvtmobile.core.Size
import java.nio.ByteBuffer
import kotlin.math.abs

/**
 * A copy of a camera image in YUV_420_888. The camera's own buffers can be released at once.
 *
 * The luma plane has one value per pixel, the two chroma planes one value per 2x2 pixels. Strides are
 * in bytes.
 */
class YuvBuffer {
    private var size = Size(1, 1)
    private val yPlane = Plane()
    private val uPlane = Plane()
    private val vPlane = Plane()

    /** One plane. The array is reused. */
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

    /** Starts an image of [size], in sensor orientation. Call [copyPlane] for the three planes next. */
    fun begin(size: Size) {
        this.size = size
    }

    /** Copies plane [index]: 0 is Y, 1 is U, 2 is V. */
    fun copyPlane(index: Int, buffer: ByteBuffer, rowStride: Int, pixelStride: Int) {
        listOf(yPlane, uPlane, vPlane)[index].copy(buffer, rowStride, pixelStride)
    }

    /**
     * Converts to upright RGB. The colour space is BT.601 with full range, as delivered by Android cameras.
     *
     * @param rotation degrees clockwise, a multiple of 90.
     */
    fun toFrame(rotation: Int, frame: Frame) {
        val (height, width) = size
        val swapSides = rotation % 180 != 0
        frame.resize(if (swapSides) Size(width, height) else size)
        val (rows, columns) = frame.size
        for (row in 0 until rows) {
            for (column in 0 until columns) {
                val x: Int
                val y: Int
                when (rotation) {
                    0 -> { x = column; y = row }
                    90 -> { x = row; y = height - 1 - column }
                    180 -> { x = width - 1 - column; y = height - 1 - row }
                    else -> { x = width - 1 - row; y = column }
                }
                frame.argb[row * columns + column] = argb(x, y)
            }
        }
    }

    private fun argb(column: Int, row: Int): Int {
        val luma = yPlane.bytes[row * yPlane.rowStride + column * yPlane.pixelStride].toInt() and 0xff
        val cb = (uPlane.bytes[row / 2 * uPlane.rowStride + column / 2 * uPlane.pixelStride].toInt() and 0xff) - 128
        val cr = (vPlane.bytes[row / 2 * vPlane.rowStride + column / 2 * vPlane.pixelStride].toInt() and 0xff) - 128
        // Coefficients in units of 1/65536.
        val red = luma + (91881 * cr + HALF shr 16)
        val green = luma - (22554 * cb + 46802 * cr + HALF shr 16)
        val blue = luma + (116130 * cb + HALF shr 16)
        return (0xff shl 24) or (clamp(red) shl 16) or (clamp(green) shl 8) or clamp(blue)
    }
}

private const val HALF = 1 shl 15

private fun clamp(value: Int): Int = if (value < 0) 0 else if (value > 255) 255 else value

/**
 * Rotation in degrees clockwise that makes a camera image upright on the screen.
 *
 * @param sensor mounting orientation of the sensor, in degrees.
 * @param display rotation of the display from its natural orientation, in degrees.
 */
fun uprightRotation(sensor: Int, display: Int, facingFront: Boolean): Int =
    (if (facingFront) sensor + display else sensor - display + 360) % 360

/** Longer previews cost power, and cameras guarantee no more beside another stream. */
private const val MAX_PREVIEW_SIDE = 1920

/** A preview with a shorter side looks blurred on the screen. */
private const val SHARP_SIDE = 720

/** How much larger frames may be than necessary, in pixels, for the sake of a sharp preview. */
private const val MAX_EXTRA = 3.2

/** Maximum difference of two side ratios of the same shape. */
private const val SAME_SHAPE = 0.01

/**
 * Sizes of the two streams of a camera.
 *
 * @property frame of the frames for the network.
 * @property preview of the same shape, so that both show the same part of the scene; null if there is none.
 */
data class StreamSizes(val frame: Size, val preview: Size?)

/**
 * Chooses the smallest frames that are at least as large as the network input, else the largest; somewhat larger ones
 * if only they have a sharp preview of the same shape.
 *
 * Postprocessing runs at the size of the picture, so a larger size costs time. The sensor can be mounted sideways, so
 * long sides are compared with long sides.
 *
 * @param frames sizes for frames; at least one.
 * @param previews sizes for previews.
 */
fun chooseStreams(frames: List<Size>, previews: List<Size>, network: Size): StreamSizes {
    val sufficient = frames.filter { it.longSide >= network.longSide && it.shortSide >= network.shortSide }
    val smallest = sufficient.minByOrNull { it.area } ?: frames.maxBy { it.area }
    val choices = sufficient.filter { it.area <= MAX_EXTRA * smallest.area }.sortedBy { it.area }
        .map { StreamSizes(it, choosePreview(previews, it)) }
    return choices.find { it.preview != null && it.preview.shortSide >= SHARP_SIDE }
        ?: StreamSizes(smallest, choosePreview(previews, smallest))
}

/** The largest preview of the same shape; null if there is none. */
private fun choosePreview(sizes: List<Size>, frame: Size): Size? {
    fun ratio(size: Size) = size.width.toDouble() / size.height
    return sizes
        .filter { it.longSide <= MAX_PREVIEW_SIDE && abs(ratio(it) / ratio(frame) - 1) <= SAME_SHAPE }
        .maxByOrNull { it.area }
}

private val Size.longSide: Int get() = maxOf(height, width)

private val Size.shortSide: Int get() = minOf(height, width)
