package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.lvtmobile.core.ClassScore
import org.lvtmobile.core.LabelMap
import org.lvtmobile.core.Labels
import org.lvtmobile.core.PanopticMap
import org.lvtmobile.core.Prediction
import org.lvtmobile.core.Segment
import org.lvtmobile.core.Size

class OverlayTest {
    private val labels = Labels(
        names = listOf("cat", "sky"),
        colours = listOf(listOf(200, 100, 50), listOf(0, 0, 255)),
    )

    /** Sky at the top, two cats below it, void (2) in the lower right corner. */
    private val size = Size(height = 4, width = 6)
    private val ids = intArrayOf(
        1, 1, 1, 1, 1, 1,
        1000, 1000, 1000, 2000, 2000, 2000,
        1000, 1000, 1000, 2000, 2000, 2000,
        1000, 1000, 1000, 2000, 2000, 2,
    )
    private val prediction = Prediction.Panoptic(
        PanopticMap(
            LabelMap(size, ids),
            listOf(Segment(1000, 0, 9, 1), Segment(2000, 0, 8, 0), Segment(1, 1, 6, null)),
            void = 2,
        ),
        scores = listOf(0.75f, 0.9f),
    )
    private val overlay = Overlay().apply { render(prediction, labels) }

    private fun pixel(x: Int, y: Int) = overlay.pixels[y * size.width + x]

    private fun alpha(argb: Int) = argb ushr 24

    @Test
    fun `fills stuff and leaves void transparent`() {
        assertEquals(0x0000ff, pixel(2, 0) and 0xffffff)
        assertTrue(alpha(pixel(2, 0)) in 1..254)
        assertEquals(0, pixel(5, 3))
    }

    @Test
    fun `outlines instances at segment borders, not at the picture edge`() {
        assertEquals(0xff, alpha(pixel(1, 1)), "below the sky")
        assertEquals(0xff, alpha(pixel(2, 2)), "beside the other cat")
        assertEquals(0xff, alpha(pixel(3, 2)), "the other cat's own outline")
        assertNotEquals(0xff, alpha(pixel(0, 2)), "left edge of the picture")
        assertNotEquals(0xff, alpha(pixel(1, 3)), "lower edge of the picture")
    }

    @Test
    fun `gives instances of one class different colours`() {
        assertEquals(0xc86432, pixel(0, 2) and 0xffffff)
        assertNotEquals(pixel(0, 2) and 0xffffff, pixel(4, 2) and 0xffffff)
    }

    @Test
    fun `places labels inside segments, largest segment first`() {
        assertEquals(listOf("cat 90%", "cat 75%", "sky"), overlay.anchors.map { it.text })
        val idsAtAnchors = overlay.anchors.map { ids[it.y * size.width + it.x] }
        assertEquals(listOf(1000, 2000, 1), idsAtAnchors)
    }

    /** The centroid of a U shape is outside the segment. */
    @Test
    fun `places the label of a concave segment inside it`() {
        val u = intArrayOf(
            0, 1, 1, 0,
            0, 1, 1, 0,
            0, 0, 0, 0,
        )
        val rendered = Overlay().apply { render(Prediction.Semantic(LabelMap(Size(3, 4), u)), labels) }
        val anchor = rendered.anchors.single { it.text == "cat" }
        assertEquals(0, u[anchor.y * 4 + anchor.x])
    }

    @Test
    fun `reuses the buffer for a picture of the same size`() {
        val before = overlay.pixels
        overlay.render(prediction, labels)
        assertSame(before, overlay.pixels)
    }

    @Test
    fun `shows classes as text and removes the previous map`() {
        overlay.render(Prediction.Classes(listOf(ClassScore(1, 0.8), ClassScore(0, 0.2))), labels)
        assertEquals(listOf("sky 80%", "cat 20%"), overlay.classLines)
        assertEquals(null, overlay.size)
        assertTrue(overlay.anchors.isEmpty())
    }
}
