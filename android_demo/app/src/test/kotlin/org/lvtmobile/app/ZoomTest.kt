package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.lvtmobile.core.Size

class ZoomTest {
    private val picture = Size(height = 50, width = 100)
    private val view = Size(height = 400, width = 400)

    private fun Zoom.fit() = fit(picture, view)

    @Test
    fun `a picture keeps its ratio in the middle of the view`() {
        assertEquals(Fit(left = 0f, top = 100f, scale = 4f, width = 400f, height = 200f, view), Zoom().fit())
    }

    /** Else what one looks at would slide away from under the fingers. */
    @Test
    fun `the point under the fingers stays`() {
        val fit = Zoom().by(4f, 100f, 250f, picture, view).fit()
        assertEquals(16f, fit.scale)
        assertEquals(100f, fit.left + 25 * fit.scale, 1e-3f)
        assertEquals(250f, fit.top + 37.5f * fit.scale, 1e-3f)
    }

    @Test
    fun `no closer than eight times, no farther than all of it`() {
        assertEquals(Zoom.CLOSEST, Zoom().by(100f, 200f, 200f, picture, view).factor)
        assertEquals(Zoom(), Zoom().by(0.1f, 0f, 0f, picture, view))
    }

    @Test
    fun `a picture is moved to its edge, and comes back at once`() {
        val edge = Zoom(factor = 4f).moved(9999f, -9999f, picture, view)
        assertEquals(0f, edge.fit().left)
        assertEquals(400f, edge.fit().top + edge.fit().height)
        assertEquals(-10f, edge.moved(-10f, 0f, picture, view).fit().left, 1e-3f)
    }

    /** The phone is turned: the same place, in a view and a picture of other sides. */
    @Test
    fun `it outlives a turn`() {
        val zoom = Zoom(factor = 8f, x = 0.4f, y = 0.6f)
        val turned = zoom.fit(Size(height = 100, width = 50), Size(height = 300, width = 600))
        assertEquals(300f, turned.left + 0.4f * turned.width, 1e-3f)
        assertEquals(150f, turned.top + 0.6f * turned.height, 1e-3f)
    }

    @Test
    fun `a side that fits has equal borders`() {
        val fit = Zoom(factor = 1.5f, x = 0.1f, y = 0.9f).fit()
        assertEquals(50f, fit.top)
        assertEquals(0f, fit.left)
    }
}
