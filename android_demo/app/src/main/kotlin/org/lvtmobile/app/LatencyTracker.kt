package org.lvtmobile.app

import org.lvtmobile.core.summarizeLatency

/** What happens to a picture, in order. */
enum class FrameStage {
    /** From the frame to the network input. */
    PREPROCESS,

    /** The runtime. */
    INFER,

    /** From the outputs to the prediction. */
    POSTPROCESS,

    /** From the prediction to the overlay pixels. */
    RENDER,
}

/**
 * Statistics of a time over the last pictures, in milliseconds.
 *
 * @property p90 90% of the pictures took at most this time.
 */
data class Milliseconds(val median: Double, val p90: Double)

/**
 * Latency of the last pictures.
 *
 * @property fps pictures per second; null before the second picture.
 * @property history the total of each picture in milliseconds, oldest first.
 * @property dropped number of camera frames that came during an inference.
 */
data class LatencyReport(
    val stages: Map<FrameStage, Milliseconds>,
    val total: Milliseconds,
    val fps: Double?,
    val history: List<Double>,
    val dropped: Int,
)

/** Computes statistics over the last [window] pictures. Not thread-safe. */
class LatencyTracker(private val window: Int = 60) {
    private class Entry(val milliseconds: List<Double>, val endTime: Long)

    private val entries = ArrayDeque<Entry>()

    /**
     * Adds a picture.
     *
     * @param times in nanoseconds: when the first stage began, and when each stage ended.
     */
    fun add(times: List<Long>) {
        require(times.size == FrameStage.entries.size + 1) { "${times.size} times" }
        entries.addLast(Entry(times.zipWithNext { from, to -> (to - from) / NANOSECONDS_PER_MS }, times.last()))
        if (entries.size > window) entries.removeFirst()
    }

    /** Removes all pictures, for example when another model is loaded. */
    fun clear() = entries.clear()

    /** The statistics; null before the first picture. */
    fun report(dropped: Int): LatencyReport? {
        if (entries.isEmpty()) return null
        val totals = entries.map { it.milliseconds.sum() }
        return LatencyReport(
            stages = FrameStage.entries.associateWith { stage ->
                statistics(entries.map { it.milliseconds[stage.ordinal] })
            },
            total = statistics(totals),
            fps = fps(),
            history = totals,
            dropped = dropped,
        )
    }

    private fun statistics(values: List<Double>) = summarizeLatency(values).let { Milliseconds(it.median, it.p90) }

    private fun fps(): Double? = if (entries.size < 2) {
        null
    } else {
        (entries.size - 1) * 1e9 / (entries.last().endTime - entries.first().endTime).coerceAtLeast(1)
    }
}

private const val NANOSECONDS_PER_MS = 1e6
