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

/** How many plate heights a label may move from its anchor, nearest first. */
private val SHIFTS = listOf(0f, -1.1f, 1.1f, -2.2f, 2.2f)

/**
 * Puts labels at those anchors that are in view: in the given order, moved up or down where they would
 * cover one that is already there, inside the picture, and left away where nothing is free.
 *
 * @param plateHeight of every label, in view pixels.
 * @param plateWidth of a text, in view pixels.
 */
fun placeLabels(anchors: List<Anchor>, fit: Fit, plateHeight: Float, plateWidth: (String) -> Float): List<Plate> {
    val placed = mutableListOf<Plate>()
    val (across, down) = fit.visibleX to fit.visibleY
    for (anchor in anchors) {
        val x = fit.left + (anchor.x + 0.5f) * fit.scale
        val y = fit.top + (anchor.y + 0.5f) * fit.scale
        if (x !in across || y !in down) continue
        val width = plateWidth(anchor.text)
        if (width > across.length || plateHeight > down.length) continue
        val left = (x - width / 2).coerceIn(across.start, across.endInclusive - width)
        val middle = y - plateHeight / 2
        SHIFTS.map { middle + it * plateHeight }
            .map { it.coerceIn(down.start, down.endInclusive - plateHeight) }
            .map { Plate(anchor.text, anchor.colour, left, it, width, plateHeight) }
            .find { plate -> placed.none(plate::meets) }
            ?.let(placed::add)
    }
    return placed
}

private val ClosedFloatingPointRange<Float>.length: Float get() = endInclusive - start
