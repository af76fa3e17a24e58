package org.lvtmobile.core

import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import javax.imageio.ImageIO

/** The golden vectors that `tests/golden/make.py` writes. */
internal object Golden {
    private val folder = File(System.getProperty("lvt.golden"))

    val json = Json {
        ignoreUnknownKeys = true
        classDiscriminator = "op"
    }

    fun file(name: String): File = File(folder, name)

    inline fun <reified T> read(name: String): T = json.decodeFromString(file(name).readText())

    /** A PNG as a picture, which for maps holds ids as red + 256 green + 65536 blue. */
    fun picture(name: String): Picture {
        val image = ImageIO.read(file(name))
        val rgb = ByteArray(Picture.CHANNELS * image.width * image.height)
        for (index in 0 until image.width * image.height) {
            val colour = image.getRGB(index % image.width, index / image.width)
            for (c in 0 until Picture.CHANNELS) rgb[Picture.CHANNELS * index + c] = (colour shr 8 * (2 - c)).toByte()
        }
        return Picture(Size(image.height, image.width), rgb)
    }

    fun map(name: String): LabelMap {
        val picture = picture(name)
        fun byte(index: Int) = picture.rgb[index].toInt() and 0xff
        return LabelMap(
            picture.size,
            IntArray(picture.size.area) { byte(3 * it) + (byte(3 * it + 1) shl 8) + (byte(3 * it + 2) shl 16) },
        )
    }
}

/** How cases name a little-endian float32 file. */
@Serializable
internal data class TensorFile(val file: String, val shape: List<Int>) {
    fun read(): Tensor {
        val floats = ByteBuffer.wrap(Golden.file(file).readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        return Tensor(shape, FloatArray(floats.remaining()).also { floats.get(it) })
    }
}

/** The share of pixels that agree. */
internal fun agreement(ours: LabelMap, golden: LabelMap): Double {
    check(ours.size == golden.size) { "${ours.size} is not ${golden.size}" }
    return ours.values.indices.count { ours.values[it] == golden.values[it] }.toDouble() / golden.values.size
}

/**
 * Maps come from PyTorch's float32 arithmetic, which rounds in another order: a pixel on the border
 * of two classes may flip.
 */
internal const val SAME_PIXELS = 0.999
