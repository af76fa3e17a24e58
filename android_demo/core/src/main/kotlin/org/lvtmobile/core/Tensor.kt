package org.lvtmobile.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * An input or output of a network, in row-major order.
 *
 * Whole numbers (the labels of detections) are held as floats too; below 2^24 they are exact.
 */
class Tensor(val shape: List<Int>, val values: FloatArray) {
    init {
        require(values.size == shape.fold(1, Int::times)) { "${values.size} values for shape $shape" }
    }

    /** The values as little-endian float32, as golden hashes are made of them. */
    fun toBytes(): ByteArray {
        val buffer = ByteBuffer.allocate(Float.SIZE_BYTES * values.size).order(ByteOrder.LITTLE_ENDIAN)
        buffer.asFloatBuffer().put(values)
        return buffer.array()
    }
}
