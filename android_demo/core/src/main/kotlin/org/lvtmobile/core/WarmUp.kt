package org.lvtmobile.core

import kotlinx.serialization.Serializable

/** Inferences that are compared with as many before them. */
private const val WINDOW = 5

/** How far the medians of two windows may lie apart, as a share of the earlier one. */
private const val TOLERANCE = 0.05
private const val LEAST_MS = 1e3

/** When to give up, after two windows at least. */
private const val MOST_MS = 20e3

/**
 * What was run before timing began.
 *
 * @property runs inferences.
 * @property seconds time they took together.
 * @property settled whether latency had become stable; null: a fixed number was asked for.
 */
@Serializable
data class WarmUp(val runs: Int, val seconds: Double, val settled: Boolean?)

/** Runs [infer], which gives milliseconds, so many times. */
internal fun warmUp(runs: Int, infer: () -> Double): WarmUp = WarmUp(runs, List(runs) { infer() }.sum() / 1e3, null)

/** Runs [infer], which gives milliseconds, until it is stable: the rule of `device_bench/measure/warmup.py`. */
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
        if (runs < 2 * WINDOW || total < LEAST_MS) continue
        val before = summarise(recent.take(WINDOW)).median
        val now = summarise(recent.takeLast(WINDOW)).median
        val settled = kotlin.math.abs(now - before) <= TOLERANCE * before
        if (settled || total >= MOST_MS) return WarmUp(runs, total / 1e3, settled)
    }
}
