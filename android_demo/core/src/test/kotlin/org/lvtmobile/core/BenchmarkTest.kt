package org.lvtmobile.core

import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir
import java.io.File

class BenchmarkTest {
    @Serializable
    private data class GoldenStatistics(val samples_ms: List<Double>, val summary: LatencySummary)

    @Test
    fun `statistics are the same as in Python`() {
        val golden = GoldenData.read<GoldenStatistics>("statistics.json")
        val actual = summarizeLatency(golden.samples_ms)
        val statistics =
            listOf<(LatencySummary) -> Double>({ it.median }, { it.mean }, { it.minimum }, { it.p90 }, { it.p99 })
        for (statistic in statistics) assertEquals(statistic(golden.summary), statistic(actual), 1e-9)
        assertEquals(golden.summary.runs, actual.runs)
    }

    @Test
    fun `one sample determines all statistics, no sample is an error`() {
        assertEquals(LatencySummary(1, 7.0, 7.0, 7.0, 7.0, 7.0), summarizeLatency(listOf(7.0)))
        assertThrows<IllegalArgumentException> { summarizeLatency(emptyList()) }
    }

    /** Samples must not contain the warm-up or the first inference. */
    @Test
    fun `separates load, first inference and samples`() {
        val runtime = FakeRuntime()
        val reply = Benchmark(listOf(runtime), mapOf("cores" to "1")) { runtime.now * 1_000_000 }
            .run(request(", \"threads\": 3, \"warmup\": 2, \"runs\": 4"))
        val result = GoldenData.json.parseToJsonElement(reply.toJson()).jsonObject
        fun number(name: String) = result.getValue(name).jsonPrimitive.content.toDouble()
        assertEquals(100.0, number("load_ms"))
        assertEquals(50.0, number("first_ms"))
        val samples = result.getValue("samples_ms").jsonArray.map { it.jsonPrimitive.content.toDouble() }
        assertEquals(listOf(13.0, 14.0, 15.0, 16.0), samples)
        assertEquals("14.5", result.getValue("latency_ms").jsonObject.getValue("median").jsonPrimitive.content)
        assertEquals("4", result.getValue("request").jsonObject.getValue("runs").jsonPrimitive.content)
        assertEquals("1", result.getValue("schema").jsonPrimitive.content)
        assertFalse("stages" in result, "only models in parts have stages")
        assertEquals(JsonNull, result.getValue("placement"))
        assertEquals("not told: this is a fake", result.getValue("placement_note").jsonPrimitive.content)
        assertEquals(3, runtime.threads)
        assertTrue(runtime.closed)
    }

    /** Inferences of 10 ms are stable at once, but a warm-up takes at least 1 s. `runs` and `seconds` are minimums. */
    @Test
    fun `warms up until stable, then runs for the minimum time`() {
        val runtime = FakeRuntime(msPerRun = 0)
        val updates = mutableListOf<Pair<Int, Double>>()
        val reply = Benchmark(listOf(runtime), emptyMap()) { runtime.now * 1_000_000 }
            .run(request(", \"runs\": 4, \"seconds\": 0.08")) { done, share -> updates += done to share }
        reply as BenchResult
        assertEquals(WarmUp(100, 1.0, settled = true), reply.warmup)
        assertEquals(List(8) { 10.0 }, reply.samplesMs)
        assertEquals((1..8).map { it to it / 8.0 }, updates)
    }

    @Test
    fun `stops the warm-up at the time limit if latency is never stable`() {
        val runtime = FakeRuntime(msPerRun = 10)
        val reply = Benchmark(listOf(runtime), emptyMap()) { runtime.now * 1_000_000 }.run(request(", \"runs\": 1"))
        reply as BenchResult
        assertEquals(false, reply.warmup.settled)
        assertTrue(reply.warmup.seconds >= 20, "${reply.warmup}")
    }

    @Test
    fun `writes the progress, then the complete reply`(@TempDir folder: File) {
        var now = 0L
        val file = BenchReplyFile(folder, "r.json") { now }
        file.writeProgress(1, 0.1)
        file.writeProgress(2, 0.2)
        assertEquals("1 0.1\n", File(folder, "r.json.progress").readText())
        now = 600_000_000
        file.writeProgress(3, 0.3)
        assertEquals("3 0.3\n", File(folder, "r.json.progress").readText())
        file.write(BenchFailure("no"))
        assertEquals(listOf("r.json"), folder.list()?.toList())
    }

    /** An invalid request from the host must not crash the app. */
    @TestFactory
    fun `replies to invalid requests with a JSON error`(): List<DynamicTest> = listOf(
        "" to "not a benchmark request",
        "[]" to "not a benchmark request",
        "{\"schema\": 1}" to "not a benchmark request",
        request(", \"run\": 5") to "not a benchmark request",
        request(", \"runs\": \"many\"") to "not a benchmark request",
        request(", \"runs\": 0") to "runs 0",
        request(", \"threads\": 0") to "threads 0",
        request(", \"warmup\": -1") to "warmup -1",
        request("", schema = 2) to "schema 2",
        request("", runtime = "qnn") to "no runtime qnn here; there is fake",
        request("", artifact = "nowhere.onnx") to "no artifact at nowhere.onnx",
    ).map { (request, message) ->
        dynamicTest("'$request'") {
            val reply = Benchmark(listOf(FakeRuntime()), emptyMap()).run(request).toJson()
            val error = GoldenData.json.parseToJsonElement(reply).jsonObject.getValue("error").jsonPrimitive.content
            assertTrue(message in error, error)
        }
    }

    private fun request(
        rest: String,
        schema: Int = 1,
        runtime: String = "fake",
        artifact: String = GoldenData.file("stub.onnx").path.replace("\\", "/"),
    ) = "{\"schema\": $schema, \"runtime\": \"$runtime\", \"artifact\": \"$artifact\"$rest}"

    /** Loading takes 100 ms, the first inference 50 ms, inference n after it 10 ms + [msPerRun] * n. */
    private class FakeRuntime(private val msPerRun: Int = 1) : Runtime {
        override val name = "fake"
        override val version = "0"
        override val accelerator = "none"
        override val target = "onnx"
        override val placementNote: String = "not told: this is a fake"
        var now = 0L
        var threads = 0
        var closed = false

        override fun open(artifact: Artifact, threads: Int): Session {
            now += 100
            this.threads = threads
            return object : Session {
                private var count = 0

                override fun run(image: Tensor): Map<String, Tensor> {
                    now += if (count == 0) 50 else 10 + msPerRun * count
                    count++
                    return emptyMap()
                }

                override fun close() {
                    closed = true
                }
            }
        }
    }
}
