package org.lvtmobile.core

import kotlinx.serialization.Serializable

/** Stages of a model in parts, in order. [PROPOSALS] and [DETECTIONS] are the steps of this code. */
enum class Stage {
    /** The entry point `core`. */
    CORE,

    /** Proposals from the RPN maps, and their features. */
    PROPOSALS,

    /** All calls of the entry point `boxes`. */
    BOXES,

    /** Selection of detections, and their features. */
    DETECTIONS,

    /** All calls of the entry point `masks`. */
    MASKS,
    ;

    /** Name in JSON. */
    val label: String = name.lowercase()
}

/**
 * Where the time of a run of a model in parts went.
 *
 * @property milliseconds time of each [Stage], by its label.
 * @property proposals number of boxes that `boxes` was called for.
 * @property detections number of detections that `masks` was called for.
 */
@Serializable
data class StageTimes(val milliseconds: Map<String, Double>, val proposals: Int, val detections: Int) {
    companion object {
        /** The median time of each stage over at least one run of the same image. */
        fun median(runs: List<StageTimes>): StageTimes = runs.last().copy(
            milliseconds = Stage.entries.associate { stage ->
                stage.label to summarizeLatency(runs.map { it.milliseconds.getValue(stage.label) }).median
            },
        )
    }
}

/** Adds up the time of each stage. */
internal class StageClock(private val nanoseconds: () -> Long) {
    private val totals = LongArray(Stage.entries.size)

    /** Starts a new run. */
    fun clear() = totals.fill(0)

    /** Counts the time of [action] as time of [stage]. */
    inline fun <T> time(stage: Stage, action: () -> T): T {
        val start = nanoseconds()
        val result = action()
        totals[stage.ordinal] += nanoseconds() - start
        return result
    }

    /** Time of each stage, by its label. */
    fun milliseconds(): Map<String, Double> = Stage.entries.associate { it.label to totals[it.ordinal] / 1e6 }
}
