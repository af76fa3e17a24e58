package org.lvtmobile.core

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/** One step of a preprocessing; in JSON, `op` names it. */
@Serializable
sealed interface Step

/** A step that resizes. */
@Serializable
sealed interface Resize : Step {
    /** How pixels are resampled. */
    val filter: ResizeFilter

    /** The size it gives to a picture of [original] size. */
    fun target(original: Size): Size
}

/** Resizes to a fixed size, whatever that does to the aspect ratio. */
@Serializable
@SerialName("stretch")
data class Stretch(val size: Size, override val filter: ResizeFilter) : Resize {
    override fun target(original: Size): Size = size
}

/** Resizes so that the shorter side is [side]; the longer one is truncated to an integer. */
@Serializable
@SerialName("shorter_side")
data class ShorterSide(val side: Int, override val filter: ResizeFilter) : Resize {
    init {
        require(side > 0) { "shorter_side of $side pixels" }
    }

    override fun target(original: Size): Size {
        val (height, width) = original
        fun longer(long: Int, short: Int) = max(1, ((side.toLong() * long).toDouble() / short).toInt())
        return if (height <= width) Size(side, longer(width, height)) else Size(longer(height, width), side)
    }
}

/** Resizes, keeping the ratio, within a long and a short limit; sides rounded half up. */
@Serializable
@SerialName("fit_within")
data class FitWithin(val long: Int, val short: Int, override val filter: ResizeFilter) : Resize {
    init {
        require(long > 0 && short > 0) { "fit_within $long and $short pixels" }
    }

    override fun target(original: Size): Size {
        val (height, width) = original
        return scaled(original, min(long.toDouble() / max(height, width), short.toDouble() / min(height, width)))
    }
}

/** Resizes, keeping the ratio, to the largest size inside [size]; sides rounded half up. */
@Serializable
@SerialName("fit_into")
data class FitInto(val size: Size, override val filter: ResizeFilter) : Resize {
    override fun target(original: Size): Size = scaled(
        original,
        min(size.height.toDouble() / original.height, size.width.toDouble() / original.width),
    )
}

/** Resizes each side up to the next multiple. */
@Serializable
@SerialName("align_up")
data class AlignUp(val multiple: Int, override val filter: ResizeFilter) : Resize {
    init {
        require(multiple > 0) { "align_up to a multiple of $multiple" }
    }

    override fun target(original: Size): Size = roundedUp(original, multiple)
}

/** Cuts the centre; the offset is rounded half to even. */
@Serializable
@SerialName("center_crop")
data class CenterCrop(val size: Size) : Step

/** (x / scale - mean) / std for each channel in float32, rounded after each operation. */
@Serializable
@SerialName("normalise")
data class Normalise(val scale: Double, val mean: List<Double>, val std: List<Double>) : Step {
    init {
        require(mean.size == Picture.CHANNELS && std.size == Picture.CHANNELS) {
            "normalise for other than 3 channels"
        }
    }
}

/** Zeros to the right and at the bottom, up to a fixed size. */
@Serializable
@SerialName("pad_to")
data class PadTo(val size: Size) : Step

/** Zeros to the right and at the bottom, up to the next multiple on each side. */
@Serializable
@SerialName("pad_up")
data class PadUp(val multiple: Int) : Step {
    init {
        require(multiple > 0) { "pad_up to a multiple of $multiple" }
    }
}

private fun scaled(size: Size, factor: Double): Size {
    fun halfUp(side: Int) = max(1, (side * factor + 0.5).toInt())
    return Size(halfUp(size.height), halfUp(size.width))
}

private fun roundedUp(size: Size, multiple: Int): Size {
    fun up(side: Int) = (side + multiple - 1) / multiple * multiple
    return Size(up(size.height), up(size.width))
}

/**
 * Ordered steps from an upright picture to the network's input.
 *
 * The steps come from a manifest: crops and resizes of 8-bit pixels, then one normalisation, then
 * perhaps padding.
 */
class Preprocessing(private val steps: List<Step>) {
    private val normalise: Normalise

    init {
        val position = steps.indexOfFirst { it is Normalise }
        val pixels = steps.take(max(position, 0))
        val padding = steps.drop(position + 1)
        if (position < 0 || !pixels.all { it is Resize || it is CenterCrop } || !padding.all(::pads)) {
            throw UserError(
                "preprocessing steps are not understood: resizes and crops, one normalisation, " +
                    "then padding; update the app or export the artifact again",
            )
        }
        normalise = steps[position] as Normalise
    }

    /** Network input (1, 3, height, width) for an upright picture. */
    fun apply(picture: Picture): Tensor {
        val pixels = steps.takeWhile { it !is Normalise }.fold(picture, ::withPixels)
        val size = steps.fold(pixels.size, ::padded)
        return Tensor(listOf(1, Picture.CHANNELS, size.height, size.width), normalised(pixels, size))
    }

    /**
     * Which part of the network's input, from its upper left corner, shows a picture of [original]
     * size. The rest is padding. Only for transforms without a crop.
     */
    fun contentSize(original: Size): Size =
        steps.filterIsInstance<Resize>().fold(original) { size, step -> step.target(size) }

    /** Hash of the golden picture's network input. */
    fun goldenSha256(): String = sha256(apply(Picture.golden()).toBytes())

    private fun pads(step: Step) = step is PadTo || step is PadUp

    private fun withPixels(picture: Picture, step: Step): Picture = when (step) {
        is Resize -> resize(picture, step.target(picture.size), step.filter)
        is CenterCrop -> cropped(picture, step.size)
        else -> error("$step comes after the normalisation")
    }

    private fun cropped(picture: Picture, size: Size): Picture {
        fun offset(side: Int, kept: Int) = round((side - kept) / 2.0).toInt()
        val top = offset(picture.size.height, size.height)
        val left = offset(picture.size.width, size.width)
        if (top < 0 || left < 0) throw UserError("cannot cut $size from a picture of ${picture.size}")
        val line = Picture.CHANNELS * size.width
        val rgb = ByteArray(Picture.CHANNELS * size.area)
        for (y in 0 until size.height) {
            val start = Picture.CHANNELS * ((top + y) * picture.size.width + left)
            picture.rgb.copyInto(rgb, y * line, start, start + line)
        }
        return Picture(size, rgb)
    }

    private fun padded(size: Size, step: Step): Size = when (step) {
        is PadTo -> step.size.also {
            if (it.height < size.height || it.width < size.width) throw UserError("cannot pad $size to $it")
        }
        is PadUp -> roundedUp(size, step.multiple)
        else -> size
    }

    /** Channels first, in the upper left corner of planes of [size]. */
    private fun normalised(picture: Picture, size: Size): FloatArray {
        val (height, width) = picture.size
        val values = FloatArray(Picture.CHANNELS * size.area)
        for (c in 0 until Picture.CHANNELS) {
            val table = table(c)
            for (y in 0 until height) {
                val row = c * size.area + y * size.width
                for (x in 0 until width) {
                    values[row + x] = table[picture.rgb[Picture.CHANNELS * (y * width + x) + c].toInt() and 0xff]
                }
            }
        }
        return values
    }

    /** What each of the 256 values of a channel becomes. */
    private fun table(c: Int): FloatArray {
        val scale = normalise.scale.toFloat()
        val mean = normalise.mean[c].toFloat()
        val std = normalise.std[c].toFloat()
        return FloatArray(256) { (it / scale - mean) / std }
    }
}
