package org.lvtmobile.app

import java.util.Locale

/**
 * Latency of each stage for one picture, in milliseconds.
 *
 * @property preprocess from the frame to the network input.
 * @property infer the runtime.
 * @property postprocess from the outputs to the prediction.
 * @property render from the prediction to the overlay pixels.
 */
data class StageLatency(val preprocess: Double, val infer: Double, val postprocess: Double, val render: Double)

/** Computes frame rate and median latency over the last [window] frames. Not thread-safe. */
class LatencyTracker(private val window: Int = 30) {
    private val latencies = ArrayDeque<StageLatency>()
    private val endTimes = ArrayDeque<Long>()

    /** Adds a frame whose overlay was ready at [endTime], in nanoseconds. */
    fun add(latency: StageLatency, endTime: Long) {
        latencies.addLast(latency)
        endTimes.addLast(endTime)
        if (latencies.size > window) {
            latencies.removeFirst()
            endTimes.removeFirst()
        }
    }

    /** Removes all frames, for example when another model is loaded. */
    fun clear() {
        latencies.clear()
        endTimes.clear()
    }

    /** Frames per second; null before the second frame. */
    val fps: Double?
        get() = if (endTimes.size < 2) {
            null
        } else {
            (endTimes.size - 1) * 1e9 / (endTimes.last() - endTimes.first()).coerceAtLeast(1)
        }

    /** The median latency of each stage; null before the first frame. */
    fun medians(): StageLatency? = if (latencies.isEmpty()) {
        null
    } else {
        StageLatency(
            median { it.preprocess },
            median { it.infer },
            median { it.postprocess },
            median { it.render },
        )
    }

    private fun median(of: (StageLatency) -> Double): Double = latencies.map(of).sorted()[latencies.size / 2]
}

/** Formats the statistics for the screen. */
fun LatencyTracker.format(dropped: Int): String {
    val (preprocess, infer, postprocess, render) = medians() ?: return "waiting for the first picture"
    val total = preprocess + infer + postprocess + render
    val rate = fps?.let { "%.1f FPS, ".format(Locale.ROOT, it) }.orEmpty()
    return (
        "%s%.0f ms per frame (median)\n" +
            "preprocess %.0f  infer %.0f  postprocess %.0f  render %.0f\n%d frames dropped"
        ).format(Locale.ROOT, rate, total, preprocess, infer, postprocess, render, dropped)
}
