package org.lvtmobile.core

import kotlinx.serialization.EncodeDefault
import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json

/** Schema version of requests and replies. It increases when an older reader would misread a new message. */
const val BENCH_SCHEMA: Int = 1

/**
 * A benchmark request. `schema`, `artifact` and `runtime` are required; an unknown key is an error.
 *
 * @property artifact path of the model file on the device.
 * @property runtime name of the runtime, as in `lvt-bench --backend`.
 * @property threads number of threads, at least 1.
 * @property warmup number of untimed inferences after the first; null: warm up until latency is stable.
 * @property runs minimum number of timed inferences, at least 1.
 * @property seconds minimum total time of the timed inferences.
 */
@Serializable
data class BenchRequest(
    val schema: Int,
    val artifact: String,
    val runtime: String,
    val threads: Int = 1,
    val warmup: Int? = null,
    val runs: Int = 128,
    val seconds: Double = 0.0,
) {
    companion object {
        /**
         * Parses and validates a request.
         *
         * @throws UserError the text is not a request, has another schema version, or a value is out of range.
         */
        fun parse(text: String): BenchRequest {
            val request = try {
                Json.decodeFromString<BenchRequest>(text)
            } catch (error: IllegalArgumentException) {
                throw UserError("not a benchmark request: ${error.firstLine()}", error)
            }
            val (schema, _, _, threads, warmup, runs, seconds) = request
            if (schema != BENCH_SCHEMA) {
                throw UserError("the request has schema $schema; this version reads $BENCH_SCHEMA")
            }
            val countsInRange = threads in 1..MAX_THREADS && (warmup ?: 0) in 0..MAX_RUNS && runs in 1..MAX_RUNS
            if (!countsInRange || seconds !in 0.0..MAX_SECONDS) {
                throw UserError(
                    "value out of range: threads $threads, warmup $warmup, runs $runs, seconds $seconds; " +
                        "allowed are threads 1 to $MAX_THREADS, warmup 0 to $MAX_RUNS, runs 1 to $MAX_RUNS, " +
                        "seconds 0 to $MAX_SECONDS",
                )
            }
            return request
        }

        private const val MAX_THREADS = 64
        private const val MAX_RUNS = 1_000_000
        private const val MAX_SECONDS = 3600.0
    }
}

/** The reply to a [BenchRequest]: a [BenchResult] or a [BenchFailure]. */
sealed interface BenchReply {
    /** Serializes to one line of JSON. */
    fun toJson(): String = when (this) {
        is BenchResult -> json.encodeToString(this)
        is BenchFailure -> json.encodeToString(this)
    }

    private companion object {
        val json = Json { encodeDefaults = true }
    }
}

/**
 * A successful measurement. All times are in milliseconds of a monotonic clock.
 *
 * @property sha256 SHA-256 of the model file.
 * @property accelerator the first choice for each operator: `cpu`, `xnnpack`, `nnapi`, `gpu` or `qnn`.
 * @property runtimeVersion version of the runtime library.
 * @property device properties of the machine, collected by the host program.
 * @property loadMs time to open the session, after the manifest and the hash were verified.
 * @property firstMs time of the first inference.
 * @property warmup the untimed inferences after the first one.
 * @property samplesMs timed inferences, in order of execution.
 * @property latencyMs statistics of the samples.
 * @property stages median time of each stage over the samples; absent if the model is not in parts.
 * @property placement how many operators the accelerator runs; null if they were not counted.
 * @property placementNote why there are no counts; null if there are.
 * @property conditions what the host program observed during the run; absent on a desktop.
 */
@OptIn(ExperimentalSerializationApi::class) // EncodeDefault
@Serializable
data class BenchResult(
    val request: BenchRequest,
    val sha256: String,
    val accelerator: String,
    @SerialName("runtime_version") val runtimeVersion: String,
    val device: Map<String, String>,
    @SerialName("load_ms") val loadMs: Double,
    @SerialName("first_ms") val firstMs: Double,
    val warmup: WarmUp,
    @SerialName("samples_ms") val samplesMs: List<Double>,
    @SerialName("latency_ms") val latencyMs: LatencySummary,
    @EncodeDefault(EncodeDefault.Mode.NEVER) val stages: StageTimes? = null,
    val placement: Placement? = null,
    @SerialName("placement_note") val placementNote: String? = null,
    @EncodeDefault(EncodeDefault.Mode.NEVER) val conditions: RunConditions? = null,
    val schema: Int = BENCH_SCHEMA,
) : BenchReply

/**
 * The conditions of a run on a phone. `lvt-bench` decides from them whether a result is valid.
 *
 * @property foreground whether the benchmark was in front, on a screen that was on, from start to end.
 * @property thermalBefore Android's thermal status before the run, 0 (none) to 6; null before Android 10.
 * @property thermalAfter the same after the run.
 */
@Serializable
data class RunConditions(
    val foreground: Boolean,
    @SerialName("thermal_before") val thermalBefore: Int?,
    @SerialName("thermal_after") val thermalAfter: Int?,
)

/** A failed measurement. [error] is one line for the user. */
@Serializable
data class BenchFailure(
    val error: String,
    val schema: Int = BENCH_SCHEMA,
) : BenchReply
