package org.lvtmobile.app

import org.lvtmobile.core.Size

/** Where a picture lies in a view: [scale] view pixels for one of its own. When zoomed it is larger than the view. */
data class Fit(
    val left: Float,
    val top: Float,
    val scale: Float,
    val width: Float,
    val height: Float,
    private val view: Size,
) {
    /** The part of the view that shows the picture. */
    val visibleX: ClosedFloatingPointRange<Float> get() = maxOf(left, 0f)..minOf(left + width, view.width.toFloat())
    val visibleY: ClosedFloatingPointRange<Float> get() = maxOf(top, 0f)..minOf(top + height, view.height.toFloat())
}

/**
 * How closely a picture is looked at. It holds for pictures and views of every size, so that it
 * outlives a turn of the phone.
 *
 * @property factor times the size at which all of the picture fits into the view.
 * @property x what of the picture is in the view's middle, as a share of its width; [y] of its height.
 */
data class Zoom(val factor: Float = 1f, val x: Float = 0.5f, val y: Float = 0.5f) {
    /** Where the picture lies: with its ratio kept, and without a border that it could fill. */
    fun fit(picture: Size, view: Size): Fit {
        val scale = factor * minOf(view.width.toFloat() / picture.width, view.height.toFloat() / picture.height)
        val width = scale * picture.width
        val height = scale * picture.height
        return Fit(begin(x, width, view.width), begin(y, height, view.height), scale, width, height, view)
    }

    /** Closer by [change], while the point of the picture at ([focusX], [focusY]) in the view stays there. */
    fun by(change: Float, focusX: Float, focusY: Float, picture: Size, view: Size): Zoom {
        val now = fit(picture, view)
        val closer = (factor * change).coerceIn(1f, CLOSEST)
        val width = now.width * closer / factor
        val height = now.height * closer / factor
        val left = focusX - (focusX - now.left) / now.width * width
        val top = focusY - (focusY - now.top) / now.height * height
        return Zoom(closer, (view.width / 2f - left) / width, (view.height / 2f - top) / height).kept(picture, view)
    }

    /** The picture moved by pixels of the view. */
    fun moved(dx: Float, dy: Float, picture: Size, view: Size): Zoom {
        val now = fit(picture, view)
        return copy(x = x - dx / now.width, y = y - dy / now.height).kept(picture, view)
    }

    /** What is shown is what is remembered: a finger that goes too far need not come all the way back. */
    private fun kept(picture: Size, view: Size): Zoom {
        val fit = fit(picture, view)
        return Zoom(factor, (view.width / 2f - fit.left) / fit.width, (view.height / 2f - fit.top) / fit.height)
    }

    companion object {
        const val CLOSEST: Float = 8f
    }
}

/** Where a side of [length] begins in [room], with its share [at] in the middle as far as that leaves no gap. */
private fun begin(at: Float, length: Float, room: Int): Float =
    if (length <= room) (room - length) / 2 else (room / 2f - at * length).coerceIn(room - length, 0f)
