package org.lvtmobile.core

import java.io.File

/**
 * Times artifacts on this device.
 *
 * @param runtimes those that are there.
 * @param device what results say of the machine.
 * @param nanoseconds a monotonic clock.
 */
class Benchmark(
    private val runtimes: List<Runtime>,
    private val device: Map<String, String>,
    private val nanoseconds: () -> Long = System::nanoTime,
) {
    /**
     * The reply to a request in JSON; whatever is wrong with the request is in the reply.
     *
     * @param progress told, between two inferences, how many are timed and the share that is done.
     */
    fun reply(request: String, progress: (Int, Double) -> Unit = { _, _ -> }): BenchReply = try {
        run(BenchRequest.parse(request), progress)
    } catch (error: UserError) {
        BenchFailure(error.firstLine())
    }

    private fun run(request: BenchRequest, progress: (Int, Double) -> Unit): BenchResult {
        val runtime = runtimes.find { it.name == request.runtime } ?: throw UserError(
            "no runtime ${request.runtime} here; there is ${runtimes.joinToString { it.name }}",
        )
        val artifact = Artifact.open(File(request.artifact))
        // The golden picture: every device and runtime computes on the same values.
        val image = artifact.preprocessing.apply(Picture.golden())
        val version = runtime.version // loads the library, which is no part of loading the model
        val start = nanoseconds()
        runtime.open(artifact, request.threads).use { session ->
            val loaded = nanoseconds()
            session.run(image)
            val first = nanoseconds()
            val infer = {
                val before = nanoseconds()
                session.run(image)
                milliseconds(nanoseconds() - before)
            }
            val warmup = if (request.warmup == null) warmUp(infer) else warmUp(request.warmup, infer)
            val samples = ArrayList<Double>()
            var total = 0.0
            while (samples.size < request.runs || total < request.seconds * MILLISECONDS) {
                samples += infer()
                total += samples.last()
                val inTime = if (request.seconds > 0) total / (request.seconds * MILLISECONDS) else 1.0
                progress(samples.size, minOf(samples.size / request.runs.toDouble(), inTime, 1.0))
            }
            return BenchResult(
                request = request,
                sha256 = artifact.manifest.file.sha256,
                accelerator = runtime.accelerator,
                runtimeVersion = version,
                device = device,
                loadMs = milliseconds(loaded - start),
                firstMs = milliseconds(first - loaded),
                warmup = warmup,
                samplesMs = samples,
                latencyMs = summarise(samples),
            )
        }
    }
}

private const val MILLISECONDS = 1e3

private fun milliseconds(nanoseconds: Long): Double = nanoseconds / 1e6
