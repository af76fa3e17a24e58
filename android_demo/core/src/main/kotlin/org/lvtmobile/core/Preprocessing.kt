package org.lvtmobile.core

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/** One preprocessing step. In JSON, the field `op` contains its type. */
@Serializable
sealed interface PreprocessingStep

/** A resize step. */
@Serializable
sealed interface Resize : PreprocessingStep {
    /** The resampling filter. */
    val filter: ResizeFilter

    /** Size of the result for a picture of size [original]. */
    fun targetSize(original: Size): Size
}

/** Resizes to a fixed size. Does not keep the aspect ratio. */
@Serializable
@SerialName("stretch")
data class Stretch(val size: Size, override val filter: ResizeFilter) : Resize {
    override fun targetSize(original: Size): Size = size
}

/** Resizes so that the shorter side is [side]. Truncates the longer side to an integer. */
@Serializable
@SerialName("shorter_side")
data class ShorterSide(val side: Int, override val filter: ResizeFilter) : Resize {
    init {
        require(side > 0) { "shorter_side must be positive, not $side" }
    }

    override fun targetSize(original: Size): Size {
        val (height, width) = original
        fun longerSide(long: Int, short: Int) = max(1, ((side.toLong() * long).toDouble() / short).toInt())
        return if (height <= width) Size(side, longerSide(width, height)) else Size(longerSide(height, width), side)
    }
}

/** Resizes within a limit for the longer and the shorter side. Keeps the aspect ratio; rounds sides half up. */
@Serializable
@SerialName("fit_within")
data class FitWithin(val long: Int, val short: Int, override val filter: ResizeFilter) : Resize {
    init {
        require(long > 0 && short > 0) { "fit_within limits must be positive, not $long and $short" }
    }

    override fun targetSize(original: Size): Size {
        val (height, width) = original
        return scaledSize(original, min(long.toDouble() / max(height, width), short.toDouble() / min(height, width)))
    }
}

/** Resizes to the largest size inside [size]. Keeps the aspect ratio; rounds sides half up. */
@Serializable
@SerialName("fit_into")
data class FitInto(val size: Size, override val filter: ResizeFilter) : Resize {
    override fun targetSize(original: Size): Size = scaledSize(
        original,
        min(size.height.toDouble() / original.height, size.width.toDouble() / original.width),
    )
}

/** Resizes each side up to the next multiple of [multiple]. */
@Serializable
@SerialName("align_up")
data class AlignUp(val multiple: Int, override val filter: ResizeFilter) : Resize {
    init {
        require(multiple > 0) { "align_up multiple must be positive, not $multiple" }
    }

    override fun targetSize(original: Size): Size = roundedUpSize(original, multiple)
}

/** Crops the centre. Rounds the offset half to even. */
@Serializable
@SerialName("center_crop")
data class CenterCrop(val size: Size) : PreprocessingStep

/** Computes (x / scale - mean) / std per channel in float32. Each operation rounds. */
@Serializable
@SerialName("normalise")
data class Normalize(val scale: Double, val mean: List<Double>, val std: List<Double>) : PreprocessingStep {
    init {
        require(mean.size == Picture.CHANNELS && std.size == Picture.CHANNELS) {
            "normalise needs 3 values of mean and std"
        }
    }
}

/** Pads with zeros on the right and at the bottom to a fixed size. */
@Serializable
@SerialName("pad_to")
data class PadTo(val size: Size) : PreprocessingStep

/** Pads with zeros on the right and at the bottom to the next multiple of [multiple]. */
@Serializable
@SerialName("pad_up")
data class PadUp(val multiple: Int) : PreprocessingStep {
    init {
        require(multiple > 0) { "pad_up multiple must be positive, not $multiple" }
    }
}

private fun scaledSize(size: Size, factor: Double): Size {
    fun roundHalfUp(side: Int) = max(1, (side * factor + 0.5).toInt())
    return Size(roundHalfUp(size.height), roundHalfUp(size.width))
}

private fun roundedUpSize(size: Size, multiple: Int): Size {
    fun roundUp(side: Int) = (side + multiple - 1) / multiple * multiple
    return Size(roundUp(size.height), roundUp(size.width))
}

/**
 * Converts an upright picture to the network input.
 *
 * The steps come from a manifest: crops and resizes of 8-bit pixels, then one normalization, then
 * optional padding.
 */
class Preprocessing(private val steps: List<PreprocessingStep>) {
    private val normalize: Normalize

    init {
        val position = steps.indexOfFirst { it is Normalize }
        val pixels = steps.take(max(position, 0))
        val padding = steps.drop(position + 1)
        if (position < 0 || !pixels.all { it is Resize || it is CenterCrop } || !padding.all(::isPadding)) {
            throw UserError(
                "unsupported preprocessing: the steps must be resizes and crops, then one normalise, " +
                    "then padding; update the app or export the artifact again",
            )
        }
        normalize = steps[position] as Normalize
    }

    /** Computes the network input (1, 3, height, width) for an upright picture. */
    fun apply(picture: Picture): Tensor {
        val pixels = steps.takeWhile { it !is Normalize }.fold(picture, ::applyPixelStep)
        val size = steps.fold(pixels.size, ::paddedSize)
        return Tensor(listOf(1, Picture.CHANNELS, size.height, size.width), normalizedPlanes(pixels, size))
    }

    /**
     * Size of the upper left part of the network input that contains a picture of size [original].
     * The rest is padding. Valid only if the steps contain no crop.
     */
    fun contentSize(original: Size): Size =
        steps.filterIsInstance<Resize>().fold(original) { size, step -> step.targetSize(size) }

    /** SHA-256 of the network input for the golden picture. */
    fun goldenSha256(): String = sha256(apply(Picture.golden()).toBytes())

    private fun isPadding(step: PreprocessingStep) = step is PadTo || step is PadUp

    private fun applyPixelStep(picture: Picture, step: PreprocessingStep): Picture = when (step) {
        is Resize -> resize(picture, step.targetSize(picture.size), step.filter)
        is CenterCrop -> cropCentre(picture, step.size)
        else -> error("$step must follow the normalization")
    }

    private fun cropCentre(picture: Picture, size: Size): Picture {
        fun offset(side: Int, kept: Int) = round((side - kept) / 2.0).toInt()
        val top = offset(picture.size.height, size.height)
        val left = offset(picture.size.width, size.width)
        if (top < 0 || left < 0) throw UserError("cannot crop $size from a picture of ${picture.size}")
        val line = Picture.CHANNELS * size.width
        val rgb = ByteArray(Picture.CHANNELS * size.area)
        for (y in 0 until size.height) {
            val start = Picture.CHANNELS * ((top + y) * picture.size.width + left)
            picture.rgb.copyInto(rgb, y * line, start, start + line)
        }
        return Picture(size, rgb)
    }

    private fun paddedSize(size: Size, step: PreprocessingStep): Size = when (step) {
        is PadTo -> step.size.also {
            if (it.height < size.height || it.width < size.width) throw UserError("cannot pad $size to $it")
        }
        is PadUp -> roundedUpSize(size, step.multiple)
        else -> size
    }

    /** Normalized values, channels first. The picture is in the upper left corner of planes of [size]. */
    private fun normalizedPlanes(picture: Picture, size: Size): FloatArray {
        val (height, width) = picture.size
        val values = FloatArray(Picture.CHANNELS * size.area)
        for (c in 0 until Picture.CHANNELS) {
            val table = lookupTable(c)
            for (y in 0 until height) {
                val row = c * size.area + y * size.width
                for (x in 0 until width) {
                    values[row + x] = table[picture.rgb[Picture.CHANNELS * (y * width + x) + c].toInt() and 0xff]
                }
            }
        }
        return values
    }

    /** Normalized value for each of the 256 values of a channel. */
    private fun lookupTable(c: Int): FloatArray {
        val scale = normalize.scale.toFloat()
        val mean = normalize.mean[c].toFloat()
        val std = normalize.std[c].toFloat()
        return FloatArray(256) { (it / scale - mean) / std }
    }
}
