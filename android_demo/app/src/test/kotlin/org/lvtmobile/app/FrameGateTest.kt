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
    /** With a queue, the overlay would fall further and further behind the camera. */
    @Test
    fun `drops and counts frames that arrive during an inference`() {
        val gate = FrameGate()
        assertTrue(gate.tryEnter())
        repeat(3) { assertFalse(gate.tryEnter()) }
        gate.leave()
        assertTrue(gate.tryEnter())
        assertEquals(3, gate.dropped)
    }

    @Test
    fun `leave without tryEnter is an error`() {
        val gate = FrameGate()
        assertThrows<IllegalStateException> { gate.leave() }
    }

    @Test
    fun `only one thread can enter`() {
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
