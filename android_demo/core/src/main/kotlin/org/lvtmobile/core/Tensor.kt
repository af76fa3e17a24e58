package org.lvtmobile.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * An input or output of a network, in row-major order.
 *
 * Integer outputs (labels of detections) are also stored as floats, which are exact below 2^24.
 */
class Tensor(val shape: List<Int>, val values: FloatArray) {
    init {
        require(values.size == shape.fold(1, Int::times)) { "${values.size} values for shape $shape" }
    }

    /** The values as little-endian float32 bytes; golden hashes are computed from these bytes. */
    fun toBytes(): ByteArray {
        val buffer = ByteBuffer.allocate(Float.SIZE_BYTES * values.size).order(ByteOrder.LITTLE_ENDIAN)
        buffer.asFloatBuffer().put(values)
        return buffer.array()
    }
}
