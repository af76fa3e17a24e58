package org.lvtmobile.core

import kotlinx.serialization.KSerializer
import kotlinx.serialization.Serializable
import kotlinx.serialization.SerializationException
import kotlinx.serialization.builtins.ListSerializer
import kotlinx.serialization.builtins.serializer
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.encoding.Decoder
import kotlinx.serialization.encoding.Encoder

/** Size in pixels; `[height, width]` in JSON. */
@Serializable(with = SizeSerializer::class)
data class Size(val height: Int, val width: Int) {
    init {
        require(height > 0 && width > 0) { "height and width must be positive, not $height x $width" }
    }

    /** Number of pixels. */
    val area: Int get() = height * width
}

internal object SizeSerializer : KSerializer<Size> {
    private val list = ListSerializer(Int.serializer())
    override val descriptor: SerialDescriptor = SerialDescriptor("org.lvtmobile.core.Size", list.descriptor)

    override fun serialize(encoder: Encoder, value: Size) =
        encoder.encodeSerializableValue(list, listOf(value.height, value.width))

    override fun deserialize(decoder: Decoder): Size {
        val sides = decoder.decodeSerializableValue(list)
        if (sides.size != 2 || sides.any { it <= 0 }) {
            throw SerializationException("$sides is not a size; expected [height, width] in pixels")
        }
        return Size(sides[0], sides[1])
    }
}
