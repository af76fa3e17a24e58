package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Test

class LatencyTrackerTest {
    private val tracker = LatencyTracker(window = 3)

    private fun add(infer: Double, atMs: Long) =
        tracker.add(StageLatency(preprocess = 1.0, infer = infer, postprocess = 2.0, render = 3.0), atMs * 1_000_000)

    @Test
    fun `has no statistics before the first frame`() {
        assertNull(tracker.medians())
        assertNull(tracker.fps)
        assertEquals("waiting for the first picture", tracker.format(dropped = 0))
    }

    @Test
    fun `computes medians and frame rate over the window`() {
        for ((infer, now) in listOf(900.0 to 0L, 10.0 to 1000L, 30.0 to 1100L, 20.0 to 1200L)) add(infer, now)
        assertEquals(20.0, tracker.medians()?.infer)
        assertEquals(10.0, tracker.fps)
        assertEquals(
            "10.0 FPS, 26 ms per frame (median)\npreprocess 1  infer 20  postprocess 2  render 3\n7 frames dropped",
            tracker.format(dropped = 7),
        )
    }

    @Test
    fun `clear removes all frames`() {
        add(10.0, 0)
        tracker.clear()
        assertNull(tracker.medians())
    }
}
