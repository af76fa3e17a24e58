package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import java.util.concurrent.CountDownLatch
import java.util.concurrent.atomic.AtomicInteger
import kotlin.concurrent.thread

class FrameGateTest {
    /** A queue would let the overlay fall ever further behind the camera. */
    @Test
    fun `frames that come during an inference are dropped and counted`() {
        val gate = FrameGate()
        assertTrue(gate.tryEnter())
        repeat(3) { assertFalse(gate.tryEnter()) }
        gate.leave()
        assertTrue(gate.tryEnter())
        assertEquals(3, gate.dropped)
    }

    @Test
    fun `leaving twice is a mistake, for the buffers would be shared`() {
        val gate = FrameGate()
        assertThrows<IllegalStateException> { gate.leave() }
    }

    @Test
    fun `two threads are never inside together`() {
        val gate = FrameGate()
        val entered = AtomicInteger()
        val start = CountDownLatch(1)
        val threads = List(8) {
            thread {
                start.await()
                if (gate.tryEnter()) entered.incrementAndGet()
            }
        }
        start.countDown()
        threads.forEach(Thread::join)
        assertEquals(1, entered.get())
        assertEquals(7, gate.dropped)
    }
}
