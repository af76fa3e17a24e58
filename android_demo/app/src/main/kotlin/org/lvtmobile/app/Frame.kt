package org.lvtmobile.app

import org.lvtmobile.core.Picture
import org.lvtmobile.core.Size

/** An upright picture in Android's pixel format: (height, width) ARGB. The buffer is reused. */
class Frame {
    var size: Size = Size(1, 1)
        private set
    var argb: IntArray = IntArray(1)
        private set

    /** Sets the size. The previous content is lost. */
    fun resize(size: Size) {
        if (argb.size != size.area) argb = IntArray(size.area)
        this.size = size
    }

    /** Copies another frame to this one. */
    fun copyFrom(other: Frame) {
        resize(other.size)
        other.argb.copyInto(argb)
    }

    /**
     * Converts to a picture for the core.
     *
     * @param rgb buffer to use if it has the required size.
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

/** Converts a picture to a new frame. */
fun Picture.toFrame(): Frame {
    val frame = Frame()
    frame.resize(size)
    for (i in 0 until size.area) {
        val offset = Picture.CHANNELS * i
        frame.argb[i] = (0xff shl 24) or ((rgb[offset].toInt() and 0xff) shl 16) or
            ((rgb[offset + 1].toInt() and 0xff) shl 8) or (rgb[offset + 2].toInt() and 0xff)
    }
    return frame
}
