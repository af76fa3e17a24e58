package org.lvtmobile.app

import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger

/**
 * Lets one frame at a time through to the model. A frame that comes while another is inside is
 * dropped, never queued: what is shown is at most one inference old.
 *
 * Whoever is inside may use the one set of buffers that goes with the gate.
 */
class FrameGate {
    private val inside = AtomicBoolean(false)
    private val turnedAway = AtomicInteger(0)

    /** Frames dropped so far. */
    val dropped: Int get() = turnedAway.get()

    /** True if the caller is inside now and owes a [leave]; false if its frame is dropped. */
    fun tryEnter(): Boolean {
        val entered = inside.compareAndSet(false, true)
        if (!entered) turnedAway.incrementAndGet()
        return entered
    }

    /** Lets the next frame in. */
    fun leave() {
        check(inside.compareAndSet(true, false)) { "nobody is inside" }
    }
}
