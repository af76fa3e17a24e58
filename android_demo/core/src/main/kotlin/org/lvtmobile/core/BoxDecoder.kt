package org.lvtmobile.core

import kotlin.math.exp

/**
 * Decodes deltas to boxes and clips them to the image, with the same float32 operations as Python.
 *
 * Exponentials alone are computed in float64 and then rounded, because the functions of different
 * libraries differ in the last bit of float32.
 *
 * @param stds factors of the four deltas.
 * @param maxLogScale limit of a decoded log scale.
 */
internal class BoxDecoder(stds: List<Double>, maxLogScale: Double, image: Size) {
    private val stds = stds.toFloats()
    private val maxLogScale = maxLogScale.toFloat()
    private val limits = floatArrayOf(image.width.toFloat(), image.height.toFloat())

    /** The last decoded box: x1, y1, x2, y2. */
    val box = FloatArray(4)

    /** Whether the last decoded box has an area. */
    val hasArea: Boolean get() = box[2] > box[0] && box[3] > box[1]

    /** Decodes the four values at [offset] of [deltas] relative to a reference box. */
    fun decode(x1: Float, y1: Float, x2: Float, y2: Float, deltas: FloatArray, offset: Int) {
        decodeAxis(0, x1, x2, deltas, offset)
        decodeAxis(1, y1, y2, deltas, offset + 1)
    }

    private fun decodeAxis(axis: Int, low: Float, high: Float, deltas: FloatArray, offset: Int) {
        val size = high - low
        val centre = (low + high) / 2f + deltas[offset] * stds[axis] * size
        val logScale = (deltas[offset + 2] * stds[axis + 2]).coerceIn(-maxLogScale, maxLogScale)
        val half = size * exp(logScale.toDouble()).toFloat() / 2f
        box[axis] = (centre - half).coerceIn(0f, limits[axis])
        box[axis + 2] = (centre + half).coerceIn(0f, limits[axis])
    }
}

/** The probability of a logit. A higher logit never has a lower probability. */
internal fun sigmoid(logit: Float): Float = (1.0 / (1.0 + exp(-logit.toDouble()))).toFloat()

/** Rounds to float32. */
internal fun List<Double>.toFloats(): FloatArray = FloatArray(size) { this[it].toFloat() }
