package org.lvtmobile.app

/** The text of a segment, and a pixel of the picture inside the segment. */
data class LabelAnchor(val text: String, val x: Int, val y: Int, val colour: Int)

/** A label with its position in the view, in view pixels. */
data class PlacedLabel(
    val text: String,
    val colour: Int,
    val left: Float,
    val top: Float,
    val width: Float,
    val height: Float,
) {
    /** Returns true if the two rectangles overlap. */
    fun overlaps(other: PlacedLabel): Boolean =
        left < other.left + other.width && other.left < left + width &&
            top < other.top + other.height && other.top < top + height
}

/** Vertical shifts to try, in label heights, nearest first. */
private val SHIFTS = listOf(0f, -1.1f, 1.1f, -2.2f, 2.2f)

/**
 * Places labels at the visible anchors, in the given order. A label that would cover an earlier one moves
 * up or down, and stays inside the picture. A label without free space is left out.
 *
 * @param labelHeight height of each label, in view pixels.
 * @param labelWidth width of a label by its text, in view pixels.
 */
fun placeLabels(
    anchors: List<LabelAnchor>,
    pictureRect: PictureRect,
    labelHeight: Float,
    labelWidth: (String) -> Float,
): List<PlacedLabel> {
    val placed = mutableListOf<PlacedLabel>()
    val (visibleX, visibleY) = pictureRect.visibleX to pictureRect.visibleY
    for (anchor in anchors) {
        val x = pictureRect.left + (anchor.x + 0.5f) * pictureRect.scale
        val y = pictureRect.top + (anchor.y + 0.5f) * pictureRect.scale
        if (x !in visibleX || y !in visibleY) continue
        val width = labelWidth(anchor.text)
        if (width > visibleX.length || labelHeight > visibleY.length) continue
        val left = (x - width / 2).coerceIn(visibleX.start, visibleX.endInclusive - width)
        val centredTop = y - labelHeight / 2
        SHIFTS.map { centredTop + it * labelHeight }
            .map { it.coerceIn(visibleY.start, visibleY.endInclusive - labelHeight) }
            .map { PlacedLabel(anchor.text, anchor.colour, left, it, width, labelHeight) }
            .find { label -> placed.none(label::overlaps) }
            ?.let(placed::add)
    }
    return placed
}

private val ClosedFloatingPointRange<Float>.length: Float get() = endInclusive - start
