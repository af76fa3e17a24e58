package org.lvtmobile.app

/** A label's place on the screen, in pixels of the view. */
data class Plate(
    val text: String,
    val colour: Int,
    val left: Float,
    val top: Float,
    val width: Float,
    val height: Float,
) {
    /** True if the two share any area. */
    fun meets(other: Plate): Boolean =
        left < other.left + other.width && other.left < left + width &&
            top < other.top + other.height && other.top < top + height
}

/** Where the picture lies in the view: [scale] view pixels for one of its own. */
data class Fit(val left: Float, val top: Float, val scale: Float, val width: Float, val height: Float) {
    companion object {
        /** As large as it can be with its ratio kept, in the middle. */
        fun of(pictureWidth: Int, pictureHeight: Int, viewWidth: Int, viewHeight: Int): Fit {
            val scale = minOf(viewWidth.toFloat() / pictureWidth, viewHeight.toFloat() / pictureHeight)
            val width = scale * pictureWidth
            val height = scale * pictureHeight
            return Fit((viewWidth - width) / 2, (viewHeight - height) / 2, scale, width, height)
        }
    }
}

/** How many plate heights a label may move from its anchor, nearest first. */
private val SHIFTS = listOf(0f, -1.1f, 1.1f, -2.2f, 2.2f)

/**
 * Puts labels at their anchors: in the given order, moved up or down where they would cover one
 * that is already there, inside the picture, and left away where nothing is free.
 *
 * @param plateHeight of every label, in view pixels.
 * @param plateWidth of a text, in view pixels.
 */
fun placeLabels(anchors: List<Anchor>, fit: Fit, plateHeight: Float, plateWidth: (String) -> Float): List<Plate> {
    val placed = mutableListOf<Plate>()
    for (anchor in anchors) {
        val width = plateWidth(anchor.text)
        if (width > fit.width || plateHeight > fit.height) continue
        val left = (fit.left + (anchor.x + 0.5f) * fit.scale - width / 2)
            .coerceIn(fit.left, fit.left + fit.width - width)
        val middle = fit.top + (anchor.y + 0.5f) * fit.scale - plateHeight / 2
        SHIFTS.map { middle + it * plateHeight }
            .map { it.coerceIn(fit.top, fit.top + fit.height - plateHeight) }
            .map { Plate(anchor.text, anchor.colour, left, it, width, plateHeight) }
            .find { plate -> placed.none(plate::meets) }
            ?.let(placed::add)
    }
    return placed
}
