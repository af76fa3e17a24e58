package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Test

class LatencyTrackerTest {
    private val tracker = LatencyTracker(window = 3)

    /** A picture whose inference took [infer] milliseconds, and the other stages 1, 2 and 3. */
    private fun add(infer: Long, endMs: Long) {
        val times = listOf(0L, 1L, infer, 2L, 3L).runningReduce(Long::plus)
        tracker.add(times.map { (endMs - times.last() + it) * 1_000_000 })
    }

    @Test
    fun `has no statistics before the first picture`() {
        assertNull(tracker.report(dropped = 0))
    }

    @Test
    fun `computes statistics and frame rate over the window`() {
        for ((infer, end) in listOf(900L to 0L, 10L to 1000L, 30L to 1100L, 20L to 1200L)) add(infer, end)
        val report = checkNotNull(tracker.report(dropped = 7))
        assertEquals(Milliseconds(median = 20.0, p90 = 28.0), report.stages[FrameStage.INFER])
        assertEquals(Milliseconds(1.0, 1.0), report.stages[FrameStage.PREPROCESS])
        assertEquals(Milliseconds(26.0, 34.0), report.total)
        assertEquals(listOf(16.0, 36.0, 26.0), report.history)
        assertEquals(10.0, report.fps)
        assertEquals(7, report.dropped)
    }

    @Test
    fun `clear removes all pictures`() {
        add(10, 0)
        tracker.clear()
        assertNull(tracker.report(dropped = 0))
    }
}
