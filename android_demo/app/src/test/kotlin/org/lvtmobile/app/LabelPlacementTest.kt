package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class LabelPlacementTest {
    private val fit = Fit.of(pictureWidth = 100, pictureHeight = 50, viewWidth = 400, viewHeight = 400)

    private fun place(vararg anchors: Anchor) =
        placeLabels(anchors.toList(), fit, plateHeight = 20f) { 10f * it.length }

    private fun anchor(text: String, x: Int, y: Int) = Anchor(text, x, y, colour = 0, area = 1)

    @Test
    fun `a picture keeps its ratio in the middle of the view`() {
        assertEquals(Fit(left = 0f, top = 100f, scale = 4f, width = 400f, height = 200f), fit)
    }

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

    @Test
    fun `a label wider than the picture is left away`() {
        assertTrue(place(anchor("x".repeat(41), 50, 25)).isEmpty())
    }
}
