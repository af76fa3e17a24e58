package org.lvtmobile.core

import kotlinx.serialization.Serializable

/** Number of inferences per window. Two consecutive windows are compared. */
private const val WINDOW = 5

/** Maximum difference between the medians of the two windows, as a share of the earlier median. */
private const val TOLERANCE = 0.05
private const val MIN_WARM_UP_MS = 1e3

/** Time limit, after at least two windows. */
private const val MAX_WARM_UP_MS = 20e3

/**
 * The warm-up before the timed inferences.
 *
 * @property runs number of inferences.
 * @property seconds total time of the inferences.
 * @property settled whether the latency became stable; null if the number of runs was fixed by the request.
 */
@Serializable
data class WarmUp(val runs: Int, val seconds: Double, val settled: Boolean?)

/** Runs [infer] a fixed number of times. [infer] returns its latency in milliseconds. */
internal fun warmUp(runs: Int, infer: () -> Double): WarmUp = WarmUp(runs, List(runs) { infer() }.sum() / 1e3, null)

/** Runs [infer] until its latency in milliseconds is stable, by the same rule as `lvt-bench`. */
internal fun warmUp(infer: () -> Double): WarmUp {
    val recent = ArrayDeque<Double>()
    var runs = 0
    var total = 0.0
    while (true) {
        val elapsed = infer()
        recent.addLast(elapsed)
        if (recent.size > 2 * WINDOW) recent.removeFirst()
        runs++
        total += elapsed
        if (runs < 2 * WINDOW || total < MIN_WARM_UP_MS) continue
        val earlier = summarizeLatency(recent.take(WINDOW)).median
        val later = summarizeLatency(recent.takeLast(WINDOW)).median
        val settled = kotlin.math.abs(later - earlier) <= TOLERANCE * earlier
        if (settled || total >= MAX_WARM_UP_MS) return WarmUp(runs, total / 1e3, settled)
    }
}
