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
) {
    /** Horizontal range of the view that shows the picture. */
    val visibleX: ClosedFloatingPointRange<Float> get() = maxOf(left, 0f)..minOf(left + width, view.width.toFloat())

    /** Vertical range of the view that shows the picture. */
    val visibleY: ClosedFloatingPointRange<Float> get() = maxOf(top, 0f)..minOf(top + height, view.height.toFloat())
}

/**
 * Zoom factor and centre. Independent of the sizes of picture and view, so it stays valid when the
 * device rotates.
 *
 * @property factor scale relative to the scale at which the picture fits into the view.
 * @property x position in the picture at the centre of the view, as a share of the picture width.
 * @property y the same, as a share of the picture height.
 */
data class Zoom(val factor: Float = 1f, val x: Float = 0.5f, val y: Float = 0.5f) {
    /** Computes the picture position. Keeps the aspect ratio; leaves no border that the picture could fill. */
    fun pictureRect(picture: Size, view: Size): PictureRect {
        val scale = factor * minOf(view.width.toFloat() / picture.width, view.height.toFloat() / picture.height)
        val width = scale * picture.width
        val height = scale * picture.height
        return PictureRect(offset(x, width, view.width), offset(y, height, view.height), scale, width, height, view)
    }

    /** Zooms by [change]. The point of the picture at ([focusX], [focusY]) in the view keeps its position. */
    fun scaledBy(change: Float, focusX: Float, focusY: Float, picture: Size, view: Size): Zoom {
        val rect = pictureRect(picture, view)
        val newFactor = (factor * change).coerceIn(1f, MAX_FACTOR)
        val width = rect.width * newFactor / factor
        val height = rect.height * newFactor / factor
        val left = focusX - (focusX - rect.left) / rect.width * width
        val top = focusY - (focusY - rect.top) / rect.height * height
        val zoom = Zoom(newFactor, (view.width / 2f - left) / width, (view.height / 2f - top) / height)
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
        return Zoom(factor, (view.width / 2f - rect.left) / rect.width, (view.height / 2f - rect.top) / rect.height)
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
