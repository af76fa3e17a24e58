package org.lvtmobile.app

import org.lvtmobile.core.Size

/**
 * Position and size of a picture in a view, in view pixels. A zoomed picture can be larger than the view.
 *
 * @property scale view pixels per picture pixel.
 */
data class PictureRect(
    val left: Float,
    val top: Float,
    val scale: Float,
    val width: Float,
    val height: Float,
    private val view: Size,
    private val covered: Covered = Covered(),
) {
    /** Horizontal range of the view that shows the picture. */
    val visibleX: ClosedFloatingPointRange<Float>
        get() = range(maxOf(left, covered.left), minOf(left + width, view.width - covered.right))

    /** Vertical range of the view that shows the picture. */
    val visibleY: ClosedFloatingPointRange<Float>
        get() = range(maxOf(top, covered.top), minOf(top + height, view.height - covered.bottom))

    private fun range(from: Float, to: Float) = from..maxOf(from, to)
}

/** The parts of a view that other views cover, from each side, in view pixels. */
data class Covered(val left: Float = 0f, val top: Float = 0f, val right: Float = 0f, val bottom: Float = 0f)

/**
 * Zoom factor and centre. Independent of the sizes of picture and view, so it stays valid when the
 * device rotates.
 *
 * @property factor scale relative to the scale of [base].
 * @property x position in the picture at the centre of the view, as a share of the picture width.
 * @property y the same, as a share of the picture height.
 * @property base the scale without zoom.
 */
data class Zoom(
    val factor: Float = 1f,
    val x: Float = 0.5f,
    val y: Float = 0.5f,
    val base: Base = Base.FIT,
) {
    /** What a picture without zoom does. */
    enum class Base {
        /** It is visible as a whole. */
        FIT,

        /** It fills the view; a part of it can be outside. */
        FILL,
    }

    /** The same base without zoom. */
    fun reset(): Zoom = Zoom(base = base)

    /** Computes the picture position. Keeps the aspect ratio; leaves no border that the picture could fill. */
    fun pictureRect(picture: Size, view: Size): PictureRect {
        val fit = fitScale(picture, view)
        val scale = factor * if (base == Base.FIT) fit else fit / smallestFactor(picture, view)
        val width = scale * picture.width
        val height = scale * picture.height
        return PictureRect(offset(x, width, view.width), offset(y, height, view.height), scale, width, height, view)
    }

    /**
     * Zooms by [change], at most until the whole picture is visible. The point of the picture at ([focusX], [focusY])
     * in the view keeps its position.
     */
    fun scaledBy(change: Float, focusX: Float, focusY: Float, picture: Size, view: Size): Zoom {
        val rect = pictureRect(picture, view)
        val newFactor = (factor * change).coerceIn(smallestFactor(picture, view), MAX_FACTOR)
        val width = rect.width * newFactor / factor
        val height = rect.height * newFactor / factor
        val left = focusX - (focusX - rect.left) / rect.width * width
        val top = focusY - (focusY - rect.top) / rect.height * height
        val zoom = copy(factor = newFactor, x = (view.width / 2f - left) / width, y = (view.height / 2f - top) / height)
        return zoom.clamped(picture, view)
    }

    /** Moves the picture by ([dx], [dy]) view pixels. */
    fun movedBy(dx: Float, dy: Float, picture: Size, view: Size): Zoom {
        val rect = pictureRect(picture, view)
        return copy(x = x - dx / rect.width, y = y - dy / rect.height).clamped(picture, view)
    }

    /** Limits the centre, so that a drag beyond the edge has no effect on the next drag. */
    private fun clamped(picture: Size, view: Size): Zoom {
        val rect = pictureRect(picture, view)
        return copy(x = (view.width / 2f - rect.left) / rect.width, y = (view.height / 2f - rect.top) / rect.height)
    }

    private fun fitScale(picture: Size, view: Size) =
        minOf(view.width.toFloat() / picture.width, view.height.toFloat() / picture.height)

    /** The factor at which the whole picture is visible. */
    private fun smallestFactor(picture: Size, view: Size): Float = if (base == Base.FIT) {
        1f
    } else {
        fitScale(picture, view) / maxOf(view.width.toFloat() / picture.width, view.height.toFloat() / picture.height)
    }

    companion object {
        const val MAX_FACTOR: Float = 8f
    }
}

/** Offset of a side in the view, with [centre] (a share of the side) in the middle of the view if possible. */
private fun offset(centre: Float, length: Float, viewLength: Int): Float =
    if (length <= viewLength) {
        (viewLength - length) / 2
    } else {
        (viewLength / 2f - centre * length).coerceIn(viewLength - length, 0f)
    }
