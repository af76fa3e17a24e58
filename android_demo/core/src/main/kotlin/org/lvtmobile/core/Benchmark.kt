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
    /** The reply to a request in JSON; whatever is wrong with the request is in the reply. */
    fun reply(request: String): BenchReply = try {
        run(BenchRequest.parse(request))
    } catch (error: UserError) {
        BenchFailure(error.firstLine())
    }

    private fun run(request: BenchRequest): BenchResult {
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
            repeat(request.warmup) { session.run(image) }
            val samples = List(request.runs) {
                val before = nanoseconds()
                session.run(image)
                milliseconds(nanoseconds() - before)
            }
            return BenchResult(
                request = request,
                sha256 = artifact.manifest.file.sha256,
                runtimeVersion = version,
                device = device,
                loadMs = milliseconds(loaded - start),
                firstMs = milliseconds(first - loaded),
                samplesMs = samples,
                latencyMs = summarise(samples),
            )
        }
    }
}

private fun milliseconds(nanoseconds: Long): Double = nanoseconds / 1e6
