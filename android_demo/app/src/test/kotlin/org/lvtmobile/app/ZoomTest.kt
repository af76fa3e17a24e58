package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.lvtmobile.core.Size

class ZoomTest {
    private val picture = Size(height = 50, width = 100)
    private val view = Size(height = 400, width = 400)

    private fun Zoom.pictureRect() = pictureRect(picture, view)

    @Test
    fun `centres the picture and keeps its aspect ratio`() {
        val expected = PictureRect(left = 0f, top = 100f, scale = 4f, width = 400f, height = 200f, view)
        assertEquals(expected, Zoom().pictureRect())
    }

    /** Otherwise the content would move away from the fingers during a pinch. */
    @Test
    fun `keeps the focus point while zooming`() {
        val rect = Zoom().scaledBy(4f, 100f, 250f, picture, view).pictureRect()
        assertEquals(16f, rect.scale)
        assertEquals(100f, rect.left + 25 * rect.scale, 1e-3f)
        assertEquals(250f, rect.top + 37.5f * rect.scale, 1e-3f)
    }

    @Test
    fun `limits the zoom factor`() {
        assertEquals(Zoom.MAX_FACTOR, Zoom().scaledBy(100f, 200f, 200f, picture, view).factor)
        assertEquals(Zoom(), Zoom().scaledBy(0.1f, 0f, 0f, picture, view))
    }

    @Test
    fun `stops at the edge and moves back without delay`() {
        val edge = Zoom(factor = 4f).movedBy(9999f, -9999f, picture, view)
        assertEquals(0f, edge.pictureRect().left)
        assertEquals(400f, edge.pictureRect().top + edge.pictureRect().height)
        assertEquals(-10f, edge.movedBy(-10f, 0f, picture, view).pictureRect().left, 1e-3f)
    }

    /** After a rotation, picture and view have other sizes, but the same position must be in the centre. */
    @Test
    fun `stays valid when the device rotates`() {
        val zoom = Zoom(factor = 8f, x = 0.4f, y = 0.6f)
        val rotated = zoom.pictureRect(Size(height = 100, width = 50), Size(height = 300, width = 600))
        assertEquals(300f, rotated.left + 0.4f * rotated.width, 1e-3f)
        assertEquals(150f, rotated.top + 0.6f * rotated.height, 1e-3f)
    }

    @Test
    fun `centres a side that is shorter than the view`() {
        val rect = Zoom(factor = 1.5f, x = 0.1f, y = 0.9f).pictureRect()
        assertEquals(50f, rect.top)
        assertEquals(0f, rect.left)
    }

    /** The live view has no black bars; the whole picture can still be seen. */
    @Test
    fun `fills the view, and zooms out until the whole picture is visible`() {
        val (picture, view) = Size(height = 100, width = 100) to Size(height = 400, width = 200)
        val fill = Zoom(base = Zoom.Base.FILL)
        assertEquals(400f, fill.pictureRect(picture, view).width)
        assertEquals(-100f, fill.pictureRect(picture, view).left)
        val out = fill.scaledBy(0.1f, 100f, 200f, picture, view)
        assertEquals(200f, out.pictureRect(picture, view).width)
        assertEquals(0f, out.pictureRect(picture, view).left)
        assertEquals(fill, out.reset())
    }
}
