package org.lvtmobile.core

/**
 * A picture in RGB.
 *
 * @property rgb 8-bit values (height, width, 3), row-major.
 */
class Picture(val size: Size, val rgb: ByteArray) {
    init {
        require(rgb.size == CHANNELS * size.area) { "${rgb.size} bytes for a picture of $size" }
    }

    /**
     * Rotates and mirrors a stored picture so that it is upright.
     *
     * @param orientation EXIF orientation of the stored picture: 1 is upright; 2, 4, 5 and 7 are
     *   mirrored; 5 to 8 exchange width and height.
     */
    fun upright(orientation: Int): Picture {
        require(orientation in 1..8) { "EXIF orientation must be 1 to 8, not $orientation" }
        if (orientation == 1) return this
        val (height, width) = size
        val uprightSize = if (orientation >= 5) Size(width, height) else size
        val result = ByteArray(rgb.size)
        for (y in 0 until uprightSize.height) {
            for (x in 0 until uprightSize.width) {
                val source = CHANNELS * when (orientation) {
                    2 -> y * width + width - 1 - x
                    3 -> (height - 1 - y) * width + width - 1 - x
                    4 -> (height - 1 - y) * width + x
                    5 -> x * width + y
                    6 -> (height - 1 - x) * width + y
                    7 -> (height - 1 - x) * width + width - 1 - y
                    else -> x * width + width - 1 - y
                }
                rgb.copyInto(result, CHANNELS * (y * uprightSize.width + x), source, source + CHANNELS)
            }
        }
        return Picture(uprightSize, result)
    }

    companion object {
        /** Number of channels: red, green, blue. */
        const val CHANNELS: Int = 3

        /**
         * The golden picture. Manifests contain the hash of its preprocessing result. Its values are
         * simple to compute in any language: 131x97, value(x, y, c) = (7 x + 13 y + 29 c + x y) mod 256.
         */
        fun golden(): Picture {
            val size = Size(height = 97, width = 131)
            val rgb = ByteArray(CHANNELS * size.area) { index ->
                val c = index % CHANNELS
                val x = index / CHANNELS % size.width
                val y = index / CHANNELS / size.width
                (7 * x + 13 * y + 29 * c + x * y).toByte()
            }
            return Picture(size, rgb)
        }
    }
}
