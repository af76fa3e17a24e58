package org.lvtmobile.core

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class StuffStabilizerTest {
    private val stabilizer = StuffStabilizer()

    /** Areas of class 7 in a picture of 10000 pixels; 0: not in the frame. Class 1 fills the rest. */
    private fun shown(vararg areas: Int): List<Boolean> = areas.map { area ->
        val frame = mapOf(1 to 10_000 - area, 7 to area).filterValues { it > 0 }
        7 in stabilizer.update(frame, 10_000)
    }

    @Test
    fun `a small region that comes and goes is not shown`() {
        assertEquals(List(8) { false }, shown(50, 0, 60, 70, 0, 0, 90, 0))
    }

    @Test
    fun `a small region is shown after three frames in a row`() {
        assertEquals(listOf(false, false, true, true), shown(10, 10, 10, 10))
    }

    @Test
    fun `a large region is shown at once, and stays when it shrinks a little below the limit`() {
        assertEquals(listOf(true, true, true, false), shown(100, 99, 50, 0))
        assertEquals(listOf(false), shown(99))
    }

    @Test
    fun `shows the other classes`() {
        assertEquals(setOf(1), stabilizer.update(mapOf(1 to 9_999, 7 to 1), 10_000))
    }
}
