package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.lvtmobile.core.Answer
import org.lvtmobile.core.ClassScore
import org.lvtmobile.core.LabelMap
import org.lvtmobile.core.Labels
import org.lvtmobile.core.PanopticMap
import org.lvtmobile.core.Segment
import org.lvtmobile.core.Size

class OverlayTest {
    private val labels = Labels(
        names = listOf("cat", "sky"),
        colours = listOf(listOf(200, 100, 50), listOf(0, 0, 255)),
    )

    /** Sky above, two cats below it, void (2) in the lower right corner. */
    private val size = Size(height = 4, width = 6)
    private val ids = intArrayOf(
        1, 1, 1, 1, 1, 1,
        1000, 1000, 1000, 2000, 2000, 2000,
        1000, 1000, 1000, 2000, 2000, 2000,
        1000, 1000, 1000, 2000, 2000, 2,
    )
    private val answer = Answer.Panoptic(
        PanopticMap(
            LabelMap(size, ids),
            listOf(Segment(1000, 0, 9, 1), Segment(2000, 0, 8, 0), Segment(1, 1, 6, null)),
            void = 2,
        ),
        scores = listOf(0.75f, 0.9f),
    )
    private val overlay = Overlay().apply { paint(answer, labels) }

    private fun at(x: Int, y: Int) = overlay.pixels[y * size.width + x]

    private fun alpha(pixel: Int) = pixel ushr 24

    @Test
    fun `stuff is tinted, void stays clear`() {
        assertEquals(0x0000ff, at(2, 0) and 0xffffff)
        assertTrue(alpha(at(2, 0)) in 1..254)
        assertEquals(0, at(5, 3))
    }

    @Test
    fun `instances are outlined where another segment is beside them, not at the picture's edge`() {
        assertEquals(0xff, alpha(at(1, 1)), "below the sky")
        assertEquals(0xff, alpha(at(2, 2)), "beside the other cat")
        assertEquals(0xff, alpha(at(3, 2)), "the other cat's own outline")
        assertNotEquals(0xff, alpha(at(0, 2)), "at the picture's left edge")
        assertNotEquals(0xff, alpha(at(1, 3)), "at the picture's lower edge")
    }

    @Test
    fun `instances of one class differ in colour`() {
        assertEquals(0xc86432, at(0, 2) and 0xffffff)
        assertNotEquals(at(0, 2) and 0xffffff, at(4, 2) and 0xffffff)
    }

    @Test
    fun `labels name segments, largest first, at a pixel inside`() {
        assertEquals(listOf("cat 90%", "cat 75%", "sky"), overlay.anchors.map { it.text })
        val where = overlay.anchors.map { ids[it.y * size.width + it.x] }
        assertEquals(listOf(1000, 2000, 1), where)
    }

    /** A U has its centre of gravity outside; its label must not lie there. */
    @Test
    fun `the label of a hollow segment is on it`() {
        val u = intArrayOf(
            0, 1, 1, 0,
            0, 1, 1, 0,
            0, 0, 0, 0,
        )
        val painted = Overlay().apply { paint(Answer.Semantic(LabelMap(Size(3, 4), u)), labels) }
        val anchor = painted.anchors.single { it.text == "cat" }
        assertEquals(0, u[anchor.y * 4 + anchor.x])
    }

    @Test
    fun `memory is used again for a picture of the same size`() {
        val before = overlay.pixels
        overlay.paint(answer, labels)
        assertSame(before, overlay.pixels)
    }

    @Test
    fun `classes are words, and the map before them is gone`() {
        overlay.paint(Answer.Classes(listOf(ClassScore(1, 0.8), ClassScore(0, 0.2))), labels)
        assertEquals(listOf("sky 80%", "cat 20%"), overlay.lines)
        assertEquals(null, overlay.size)
        assertTrue(overlay.anchors.isEmpty())
    }
}
