package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.lvtmobile.core.Size

class LabelPlacementTest {
    private val picture = Size(height = 50, width = 100)
    private val view = Size(height = 400, width = 400)
    private val fit = Zoom().fit(picture, view)

    private fun place(vararg anchors: Anchor, fit: Fit = this.fit) =
        placeLabels(anchors.toList(), fit, plateHeight = 20f) { 10f * it.length }

    private fun anchor(text: String, x: Int, y: Int) = Anchor(text, x, y, colour = 0, area = 1)

    @Test
    fun `a label stands centred on its anchor`() {
        val plate = place(anchor("tree", 50, 25)).single()
        assertEquals(4 * 50.5f, plate.left + plate.width / 2)
        assertEquals(100 + 4 * 25.5f, plate.top + plate.height / 2)
    }

    @Test
    fun `labels stay inside the picture`() {
        for (plate in place(anchor("left", 0, 0), anchor("right", 99, 49))) {
            assertTrue(plate.left >= fit.left && plate.left + plate.width <= fit.left + fit.width)
            assertTrue(plate.top >= fit.top && plate.top + plate.height <= fit.top + fit.height)
        }
    }

    @Test
    fun `labels at one place move apart, and those without room are left away`() {
        val plates = place(*Array(9) { anchor("person", 50, 25) })
        assertEquals(5, plates.size)
        for ((i, plate) in plates.withIndex()) {
            assertFalse(plates.drop(i + 1).any(plate::meets))
        }
    }

    /** Zoomed into the left half: what lies on the right has no label, the rest is not cut at the view's edge. */
    @Test
    fun `labels of what is out of view are left away`() {
        val close = Zoom(factor = 2f, x = 0f).fit(picture, view)
        val plate = place(anchor("left", 0, 25), anchor("right", 60, 25), fit = close).single()
        assertEquals("left", plate.text)
        assertEquals(0f, plate.left)
    }

    @Test
    fun `a label wider than the picture is left away`() {
        assertTrue(place(anchor("x".repeat(41), 50, 25)).isEmpty())
    }
}
