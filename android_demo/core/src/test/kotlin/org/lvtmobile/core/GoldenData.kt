package org.lvtmobile.core

import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import javax.imageio.ImageIO

/** Reads the golden vectors that `make golden` writes. */
internal object GoldenData {
    private val folder = File(System.getProperty("lvt.golden"))

    val json = Json {
        ignoreUnknownKeys = true
        classDiscriminator = "op"
    }

    fun file(name: String): File = File(folder, name)

    inline fun <reified T> read(name: String): T = json.decodeFromString(file(name).readText())

    /** Reads a PNG as a picture. The PNG of a map contains ids as red + 256 green + 65536 blue. */
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

/** Reference to a little-endian float32 file in a golden case. */
@Serializable
internal data class TensorFile(val file: String, val shape: List<Int>) {
    fun read(): Tensor {
        val floats = ByteBuffer.wrap(GoldenData.file(file).readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        return Tensor(shape, FloatArray(floats.remaining()).also { floats.get(it) })
    }
}

/** Share of pixels with equal labels. */
internal fun pixelAgreement(actual: LabelMap, golden: LabelMap): Double {
    check(actual.size == golden.size) { "${actual.size} is not ${golden.size}" }
    return actual.values.indices.count { actual.values[it] == golden.values[it] }.toDouble() / golden.values.size
}

/**
 * Minimum pixel agreement. The golden maps come from PyTorch's float32 arithmetic, which rounds in
 * another order: a pixel on the border of two classes can differ.
 */
internal const val MIN_PIXEL_AGREEMENT = 0.999
