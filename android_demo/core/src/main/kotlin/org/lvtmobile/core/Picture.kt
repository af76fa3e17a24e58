package org.lvtmobile.core

/**
 * An upright picture.
 *
 * @property rgb 8-bit red, green, blue of each pixel, row by row: (height, width, 3).
 */
class Picture(val size: Size, val rgb: ByteArray) {
    init {
        require(rgb.size == CHANNELS * size.area) { "${rgb.size} bytes for a picture of $size" }
    }

    /**
     * This picture, as it came from a file or a sensor, turned and mirrored upright.
     *
     * @param orientation EXIF's: 1 is upright; 2, 4, 5 and 7 are mirrored; 5 to 8 lie on their side.
     */
    fun upright(orientation: Int): Picture {
        require(orientation in 1..8) { "EXIF knows orientations 1 to 8, not $orientation" }
        if (orientation == 1) return this
        val (height, width) = size
        val turned = if (orientation >= 5) Size(width, height) else size
        val result = ByteArray(rgb.size)
        for (y in 0 until turned.height) {
            for (x in 0 until turned.width) {
                val source = CHANNELS * when (orientation) {
                    2 -> y * width + width - 1 - x
                    3 -> (height - 1 - y) * width + width - 1 - x
                    4 -> (height - 1 - y) * width + x
                    5 -> x * width + y
                    6 -> (height - 1 - x) * width + y
                    7 -> (height - 1 - x) * width + width - 1 - y
                    else -> x * width + width - 1 - y
                }
                rgb.copyInto(result, CHANNELS * (y * turned.width + x), source, source + CHANNELS)
            }
        }
        return Picture(turned, result)
    }

    companion object {
        /** Red, green, blue. */
        const val CHANNELS: Int = 3

        /**
         * The picture that manifests record the preprocessing of, from integers any language can
         * make: 131x97, value(x, y, c) = (7 x + 13 y + 29 c + x y) mod 256.
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
