package org.lvtmobile.core

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json

/** Raised when a reader of old requests or results would misread a new one. */
const val BENCH_SCHEMA: Int = 1

/**
 * What to time. Schema, artifact and runtime must be there; an unknown key is an error.
 *
 * @property artifact path of the model file on the device.
 * @property runtime as `lvt-bench --backend` calls it.
 * @property threads at least 1.
 * @property warmup inferences after the first that are not timed; null: until latency has settled.
 * @property runs least number of timed inferences, at least 1.
 * @property seconds least time that the timed inferences take together.
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
         * Reads a request.
         *
         * @throws UserError it is no request, of another schema, or asks for what cannot be.
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
            val counts = threads in 1..MAX_THREADS && (warmup ?: 0) in 0..MAX_RUNS && runs in 1..MAX_RUNS
            if (!counts || seconds !in 0.0..MAX_SECONDS) {
                throw UserError(
                    "threads $threads, warmup $warmup, runs $runs, seconds $seconds: threads are 1 to " +
                        "$MAX_THREADS, warmup 0 to $MAX_RUNS, runs 1 to $MAX_RUNS, seconds 0 to $MAX_SECONDS",
                )
            }
            return request
        }

        private const val MAX_THREADS = 64
        private const val MAX_RUNS = 1_000_000
        private const val MAX_SECONDS = 3600.0
    }
}

/** What comes back, as JSON: a [BenchResult] or a [BenchFailure]. */
sealed interface BenchReply {
    /** One line of JSON. */
    fun toJson(): String = when (this) {
        is BenchResult -> json.encodeToString(this)
        is BenchFailure -> json.encodeToString(this)
    }

    private companion object {
        val json = Json { encodeDefaults = true }
    }
}

/**
 * Times in milliseconds of a monotonic clock.
 *
 * @property sha256 of the model file.
 * @property accelerator what operators were offered to first: `cpu`, `xnnpack`, `nnapi` or `gpu`. How many it took,
 *   no runtime tells.
 * @property runtimeVersion of the library that ran it.
 * @property device what the host program knows of the machine.
 * @property loadMs opening the session, after the manifest and the hash were checked.
 * @property firstMs the first inference.
 * @property warmup what was run after it, untimed.
 * @property samplesMs timed inferences in order.
 * @property latencyMs what the samples say.
 */
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
    @SerialName("latency_ms") val latencyMs: Summary,
    val schema: Int = BENCH_SCHEMA,
) : BenchReply

/** Why there is no result: one line. */
@Serializable
data class BenchFailure(
    val error: String,
    val schema: Int = BENCH_SCHEMA,
) : BenchReply
