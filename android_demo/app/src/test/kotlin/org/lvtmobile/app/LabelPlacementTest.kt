package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.lvtmobile.core.Size

class LabelPlacementTest {
    private val picture = Size(height = 50, width = 100)
    private val view = Size(height = 400, width = 400)
    private val rect = Zoom().pictureRect(picture, view)

    private fun place(vararg anchors: LabelAnchor, rect: PictureRect = this.rect) =
        placeLabels(anchors.toList(), rect, labelHeight = 20f) { 10f * it.length }

    private fun anchor(text: String, x: Int, y: Int) = LabelAnchor(text, x, y, colour = 0)

    @Test
    fun `centres a label on its anchor`() {
        val label = place(anchor("tree", 50, 25)).single()
        assertEquals(4 * 50.5f, label.left + label.width / 2)
        assertEquals(100 + 4 * 25.5f, label.top + label.height / 2)
    }

    @Test
    fun `keeps labels inside the picture`() {
        for (label in place(anchor("left", 0, 0), anchor("right", 99, 49))) {
            assertTrue(label.left >= rect.left && label.left + label.width <= rect.left + rect.width)
            assertTrue(label.top >= rect.top && label.top + label.height <= rect.top + rect.height)
        }
    }

    @Test
    fun `moves overlapping labels apart and leaves out labels without space`() {
        val labels = place(*Array(9) { anchor("person", 50, 25) })
        assertEquals(5, labels.size)
        for ((i, label) in labels.withIndex()) {
            assertFalse(labels.drop(i + 1).any(label::overlaps))
        }
    }

    /** Zoomed into the left half: segments on the right have no label, and the view does not cut labels. */
    @Test
    fun `leaves out labels of segments outside the view`() {
        val zoomed = Zoom(factor = 2f, x = 0f).pictureRect(picture, view)
        val label = place(anchor("left", 0, 25), anchor("right", 60, 25), rect = zoomed).single()
        assertEquals("left", label.text)
        assertEquals(0f, label.left)
    }

    @Test
    fun `leaves out a label that is wider than the picture`() {
        assertTrue(place(anchor("x".repeat(41), 50, 25)).isEmpty())
    }
}
