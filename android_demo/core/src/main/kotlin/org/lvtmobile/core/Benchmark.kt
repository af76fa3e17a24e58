package org.lvtmobile.core

import java.io.File

/**
 * Measures the latency of artifacts on this device.
 *
 * @param runtimes the available runtimes.
 * @param device properties of the machine, copied to each result.
 * @param nanoseconds a monotonic clock.
 */
class Benchmark(
    private val runtimes: List<Runtime>,
    private val device: Map<String, String>,
    private val nanoseconds: () -> Long = System::nanoTime,
) {
    /**
     * Runs a request in JSON. An invalid request gives a [BenchFailure].
     *
     * @param progress called after each timed inference with the number of timed inferences and the
     *   completed share, 0 to 1.
     */
    fun run(request: String, progress: (Int, Double) -> Unit = { _, _ -> }): BenchReply = try {
        measure(BenchRequest.parse(request), progress)
    } catch (error: UserError) {
        BenchFailure(error.firstLine())
    }

    private fun measure(request: BenchRequest, progress: (Int, Double) -> Unit): BenchResult {
        val runtime = runtimes.find { it.name == request.runtime } ?: throw UserError(
            "no runtime ${request.runtime} here; there is ${runtimes.joinToString { it.name }}",
        )
        val artifact = Artifact.open(File(request.artifact))
        // The golden picture gives all devices and runtimes the same input values.
        val image = artifact.preprocessing.apply(Picture.golden())
        val version = runtime.version // loads the native library, which must not count as model load time
        val start = nanoseconds()
        runtime.open(artifact, request.threads).use { session ->
            val loaded = nanoseconds()
            session.run(image)
            val first = nanoseconds()
            val infer = {
                val before = nanoseconds()
                session.run(image)
                toMilliseconds(nanoseconds() - before)
            }
            val warmup = if (request.warmup == null) warmUp(infer) else warmUp(request.warmup, infer)
            val samples = ArrayList<Double>()
            val stages = ArrayList<StageTimes>()
            var total = 0.0
            while (samples.size < request.runs || total < request.seconds * MS_PER_SECOND) {
                samples += infer()
                total += samples.last()
                session.stages?.let(stages::add)
                val timeShare = if (request.seconds > 0) total / (request.seconds * MS_PER_SECOND) else 1.0
                progress(samples.size, minOf(samples.size / request.runs.toDouble(), timeShare, 1.0))
            }
            val placement = session.placement // after the measurement, because it may load the model again
            return BenchResult(
                request = request,
                sha256 = artifact.manifest.file.sha256,
                accelerator = runtime.accelerator,
                runtimeVersion = version,
                device = device,
                loadMs = toMilliseconds(loaded - start),
                firstMs = toMilliseconds(first - loaded),
                warmup = warmup,
                samplesMs = samples,
                latencyMs = summarizeLatency(samples),
                stages = if (stages.isEmpty()) null else StageTimes.median(stages),
                placement = placement,
                placementNote = if (placement == null) runtime.placementNote else null,
            )
        }
    }
}

private const val MS_PER_SECOND = 1e3

private fun toMilliseconds(nanoseconds: Long): Double = nanoseconds / 1e6
