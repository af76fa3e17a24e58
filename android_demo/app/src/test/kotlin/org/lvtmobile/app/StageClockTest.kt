package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Test

class StageClockTest {
    private val clock = StageClock(window = 3)

    private fun add(infer: Double, atMs: Long) =
        clock.add(StageTimes(prepare = 1.0, infer = infer, answer = 2.0, paint = 3.0), atMs * 1_000_000)

    @Test
    fun `nothing is claimed before there is a frame`() {
        assertNull(clock.medians())
        assertNull(clock.fps)
        assertEquals("waiting for the first picture", clock.describe(dropped = 0))
    }

    @Test
    fun `medians and rate are those of the window`() {
        for ((infer, now) in listOf(900.0 to 0L, 10.0 to 1000L, 30.0 to 1100L, 20.0 to 1200L)) add(infer, now)
        assertEquals(20.0, clock.medians()?.infer)
        assertEquals(10.0, clock.fps)
        assertEquals(
            "10.0 FPS, 26 ms a frame (median)\nprepare 1  infer 20  answer 2  paint 3\n7 frames dropped",
            clock.describe(dropped = 7),
        )
    }

    @Test
    fun `another model starts anew`() {
        add(10.0, 0)
        clock.clear()
        assertNull(clock.medians())
    }
}
