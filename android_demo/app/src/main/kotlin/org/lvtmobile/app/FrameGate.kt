package org.lvtmobile.app

import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger

/**
 * Lets one frame at a time through to the model. Drops frames that arrive during an inference; there is
 * no queue, so a result is never more than one inference behind the camera.
 *
 * The caller that entered the gate has exclusive use of the buffers that belong to it.
 */
class FrameGate {
    private val busy = AtomicBoolean(false)
    private val droppedCount = AtomicInteger(0)

    /** Number of dropped frames. */
    val dropped: Int get() = droppedCount.get()

    /** Returns true if the caller entered the gate and must call [leave]; false if its frame is dropped. */
    fun tryEnter(): Boolean {
        val entered = busy.compareAndSet(false, true)
        if (!entered) droppedCount.incrementAndGet()
        return entered
    }

    /** Opens the gate for the next frame. */
    fun leave() {
        check(busy.compareAndSet(true, false)) { "leave() without tryEnter()" }
    }
}
