package org.lvtmobile.core

import kotlinx.serialization.Serializable

/**
 * Latency of one artifact in milliseconds; percentiles as in `device_bench/measure/statistics.py`.
 *
 * Confidence intervals are left to whoever gathers the raw samples.
 */
@Serializable
data class Summary(
    val runs: Int,
    val median: Double,
    val mean: Double,
    val minimum: Double,
    val p90: Double,
    val p99: Double,
)

/** Sums up samples in milliseconds; at least one. */
fun summarise(milliseconds: List<Double>): Summary {
    require(milliseconds.isNotEmpty()) { "no samples" }
    val sorted = milliseconds.sorted()
    return Summary(
        runs = sorted.size,
        median = percentile(sorted, 50),
        mean = sorted.average(),
        minimum = sorted.first(),
        p90 = percentile(sorted, 90),
        p99 = percentile(sorted, 99),
    )
}

/** Linear between the two nearest samples. */
private fun percentile(sorted: List<Double>, percent: Int): Double {
    val position = percent / 100.0 * (sorted.size - 1)
    val below = position.toInt()
    val above = (below + 1).coerceAtMost(sorted.size - 1)
    return sorted[below] + (sorted[above] - sorted[below]) * (position - below)
}
