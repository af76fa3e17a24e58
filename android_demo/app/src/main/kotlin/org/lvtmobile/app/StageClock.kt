package org.lvtmobile.app

import java.util.Locale

/**
 * Milliseconds that one picture spent in each stage.
 *
 * @property prepare to the network's input.
 * @property infer in the runtime.
 * @property answer from outputs to a map of segments.
 * @property paint of the map to the overlay's pixels.
 */
data class StageTimes(val prepare: Double, val infer: Double, val answer: Double, val paint: Double)

/** What the screen says of speed: medians of recent frames. Not to be used by two threads at once. */
class StageClock(private val window: Int = 30) {
    private val times = ArrayDeque<StageTimes>()
    private val ends = ArrayDeque<Long>()

    /** Notes a frame whose answer was ready at [now], in nanoseconds. */
    fun add(stages: StageTimes, now: Long) {
        times.addLast(stages)
        ends.addLast(now)
        if (times.size > window) {
            times.removeFirst()
            ends.removeFirst()
        }
    }

    /** Forgets everything, as when another model is loaded. */
    fun clear() {
        times.clear()
        ends.clear()
    }

    /** Answers in a second; null before the second one. */
    val fps: Double?
        get() = if (ends.size < 2) null else (ends.size - 1) * 1e9 / (ends.last() - ends.first()).coerceAtLeast(1)

    /** The median of each stage; null before the first frame. */
    fun medians(): StageTimes? = if (times.isEmpty()) {
        null
    } else {
        StageTimes(
            median { it.prepare },
            median { it.infer },
            median { it.answer },
            median { it.paint },
        )
    }

    private fun median(of: (StageTimes) -> Double): Double = times.map(of).sorted()[times.size / 2]
}

/** The clock's lines on the screen. */
fun StageClock.describe(dropped: Int): String {
    val (prepare, infer, answer, paint) = medians() ?: return "waiting for the first picture"
    val rate = fps?.let { "%.1f FPS, ".format(Locale.ROOT, it) }.orEmpty()
    return "%s%.0f ms a frame (median)\nprepare %.0f  infer %.0f  answer %.0f  paint %.0f\n%d frames dropped"
        .format(Locale.ROOT, rate, prepare + infer + answer + paint, prepare, infer, answer, paint, dropped)
}
