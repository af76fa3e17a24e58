package org.lvtmobile.core

import kotlinx.serialization.Serializable

/**
 * Latency statistics of one artifact in milliseconds. Percentiles are computed as in `lvt-bench`.
 *
 * `lvt-bench` computes confidence intervals from the raw samples.
 */
@Serializable
data class LatencySummary(
    val runs: Int,
    val median: Double,
    val mean: Double,
    val minimum: Double,
    val p90: Double,
    val p99: Double,
)

/** Computes the statistics of at least one sample in milliseconds. */
fun summarizeLatency(milliseconds: List<Double>): LatencySummary {
    require(milliseconds.isNotEmpty()) { "no samples" }
    val sorted = milliseconds.sorted()
    return LatencySummary(
        runs = sorted.size,
        median = percentile(sorted, 50),
        mean = sorted.average(),
        minimum = sorted.first(),
        p90 = percentile(sorted, 90),
        p99 = percentile(sorted, 99),
    )
}

/** Interpolates linearly between the two nearest samples. */
private fun percentile(sorted: List<Double>, percent: Int): Double {
    val position = percent / 100.0 * (sorted.size - 1)
    val below = position.toInt()
    val above = (below + 1).coerceAtMost(sorted.size - 1)
    return sorted[below] + (sorted[above] - sorted[below]) * (position - below)
}
