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
    private val overlay = Overlay().apply { show(prediction, labels, OverlayStyle(), live = false) }

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
        assertEquals(listOf("cat" to 0.9f, "cat" to 0.75f, "sky" to null), overlay.segments.map { it.name to it.score })
        val idsAtAnchors = overlay.segments.mapNotNull { it.anchor }.map { ids[it.y * size.width + it.x] }
        assertEquals(listOf(1000, 2000, 1), idsAtAnchors)
        assertEquals(listOf(9, 8, 6).map { it / 24.0 }, overlay.segments.map { it.area })
    }

    /** The centroid of a U shape is outside the segment. */
    @Test
    fun `places the label of a concave segment inside it`() {
        val u = intArrayOf(
            0, 1, 1, 0,
            0, 1, 1, 0,
            0, 0, 0, 0,
        )
        val map = Prediction.Semantic(LabelMap(Size(3, 4), u))
        val rendered = Overlay().apply { show(map, labels, OverlayStyle(), live = false) }
        val anchor = checkNotNull(rendered.segments.single { it.name == "cat" }.anchor)
        assertEquals(0, u[anchor.y * 4 + anchor.x])
    }

    @Test
    fun `reuses the buffer for a picture of the same size`() {
        val before = overlay.pixels
        overlay.render(prediction, labels, OverlayStyle())
        assertSame(before, overlay.pixels)
    }

    @Test
    fun `shows classes as text and removes the previous map`() {
        val classes = Prediction.Classes(listOf(ClassScore(1, 0.8), ClassScore(0, 0.2)))
        overlay.show(classes, labels, OverlayStyle(), live = true)
        assertEquals(listOf(NamedScore("sky", 0.8), NamedScore("cat", 0.2)), overlay.classes)
        assertEquals(null, overlay.size)
        assertTrue(overlay.segments.isEmpty())
    }

    /** The number of an instance is the rank of its score, which changes from frame to frame. */
    @Test
    fun `instances keep key and colour when their scores swap`() {
        val live = Overlay().apply { show(prediction, labels, OverlayStyle(), live = true) }
        val before = live.segments
        val swapped = ids.map { mapOf(1000 to 2000, 2000 to 1000)[it] ?: it }.toIntArray()
        val next = Prediction.Panoptic(
            PanopticMap(
                LabelMap(size, swapped), listOf(Segment(1000, 0, 8, 1), Segment(2000, 0, 9, 0), Segment(1, 1, 6, null)), void = 2,
            ),
            scores = listOf(0.8f, 0.95f),
        )
        live.show(next, labels, OverlayStyle(), live = true)
        assertEquals(before.map { it.key to it.colour }, live.segments.map { it.key to it.colour })
        assertEquals(listOf(0.8f, 0.95f, null), live.segments.map { it.score })
    }

    /** A photo is the only frame of its sequence. */
    @Test
    fun `small stuff is shown at once in a photo and later in a live view`() {
        val dot = IntArray(400) { if (it == 7) 0 else 1 }
        val map = Prediction.Semantic(LabelMap(Size(20, 20), dot))
        val live = Overlay()
        val shown = List(3) {
            live.show(map, labels, OverlayStyle(), live = true)
            live.segments.any { it.name == "cat" }
        }
        assertEquals(listOf(false, false, true), shown)
        live.show(map, labels, OverlayStyle(), live = false)
        assertEquals(setOf("cat", "sky"), live.segments.map { it.name }.toSet())
    }

    @Test
    fun `finds the segment at a pixel`() {
        fun at(x: Int, y: Int) = overlay.segments.getOrNull(overlay.indices[y * size.width + x] - 1)?.let { it.name to it.score }
        assertEquals("cat" to 0.9f, at(0, 2))
        assertEquals("cat" to 0.75f, at(4, 2))
        assertEquals("sky" to null, at(3, 0))
        assertEquals(null, at(5, 3))
    }

    @Test
    fun `isolates the selected segment`() {
        val key = overlay.segments.first().key
        overlay.render(prediction, labels, OverlayStyle(key, isolate = true))
        assertTrue(alpha(pixel(0, 2)) < 0x40, "the picture is clear")
        assertEquals(0, pixel(2, 0) and 0xffffff, "stuff is dark")
        assertEquals(0xffffff, pixel(1, 1) and 0xffffff, "a white outline")
        assertTrue(alpha(pixel(5, 3)) > 0x80, "void is dark")
        overlay.render(prediction, labels, OverlayStyle(selected = 99, isolate = true))
        assertEquals(0, pixel(5, 3), "an object that has left the picture isolates nothing")
    }
}
