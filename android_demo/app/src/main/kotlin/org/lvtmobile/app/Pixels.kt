package org.lvtmobile.app

import org.lvtmobile.core.Picture
import org.lvtmobile.core.Size

/** A picture in Android's pixels: (height, width) ARGB, upright. Its memory is used again. */
class Frame {
    var size: Size = Size(1, 1)
        private set
    var argb: IntArray = IntArray(1)
        private set

    /** Makes room for a picture of [size]; what was there is lost. */
    fun prepare(size: Size) {
        if (argb.size != size.area) argb = IntArray(size.area)
        this.size = size
    }

    /** Makes this a copy of another. */
    fun copyFrom(other: Frame) {
        prepare(other.size)
        other.argb.copyInto(argb)
    }

    /**
     * The same for the core.
     *
     * @param rgb memory to use if its size fits.
     */
    fun toPicture(rgb: ByteArray = ByteArray(0)): Picture {
        val bytes = if (rgb.size == Picture.CHANNELS * size.area) rgb else ByteArray(Picture.CHANNELS * size.area)
        var next = 0
        for (i in 0 until size.area) {
            val pixel = argb[i]
            bytes[next++] = (pixel shr 16).toByte()
            bytes[next++] = (pixel shr 8).toByte()
            bytes[next++] = pixel.toByte()
        }
        return Picture(size, bytes)
    }
}

/** A frame that shows a picture. */
fun Picture.toFrame(): Frame {
    val frame = Frame()
    frame.prepare(size)
    for (i in 0 until size.area) {
        val at = Picture.CHANNELS * i
        frame.argb[i] = (0xff shl 24) or ((rgb[at].toInt() and 0xff) shl 16) or
            ((rgb[at + 1].toInt() and 0xff) shl 8) or (rgb[at + 2].toInt() and 0xff)
    }
    return frame
}
