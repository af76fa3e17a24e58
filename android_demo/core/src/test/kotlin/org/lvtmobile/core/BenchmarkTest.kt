package org.lvtmobile.core

import kotlinx.serialization.Serializable
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertEquals
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
    private data class GoldenStatistics(val samples_ms: List<Double>, val summary: Summary)

    @Test
    fun `figures are Python's`() {
        val golden = Golden.read<GoldenStatistics>("statistics.json")
        val ours = summarise(golden.samples_ms)
        val pairs = listOf<(Summary) -> Double>({ it.median }, { it.mean }, { it.minimum }, { it.p90 }, { it.p99 })
        for (figure in pairs) assertEquals(figure(golden.summary), figure(ours), 1e-9)
        assertEquals(golden.summary.runs, ours.runs)
    }

    @Test
    fun `one sample is every figure, none is an error`() {
        assertEquals(Summary(1, 7.0, 7.0, 7.0, 7.0, 7.0), summarise(listOf(7.0)))
        assertThrows<IllegalArgumentException> { summarise(emptyList()) }
    }

    /** Warm-up must not be timed, and the first inference must not be among the samples. */
    @Test
    fun `load, first inference and samples are told apart`() {
        val runtime = FakeRuntime()
        val reply = Benchmark(listOf(runtime), mapOf("cores" to "1")) { runtime.now * 1_000_000 }
            .reply(request(", \"threads\": 3, \"warmup\": 2, \"runs\": 4"))
        val result = Golden.json.parseToJsonElement(reply.toJson()).jsonObject
        fun number(name: String) = result.getValue(name).jsonPrimitive.content.toDouble()
        assertEquals(100.0, number("load_ms"))
        assertEquals(50.0, number("first_ms"))
        val samples = result.getValue("samples_ms").jsonArray.map { it.jsonPrimitive.content.toDouble() }
        assertEquals(listOf(13.0, 14.0, 15.0, 16.0), samples)
        assertEquals("14.5", result.getValue("latency_ms").jsonObject.getValue("median").jsonPrimitive.content)
        assertEquals("4", result.getValue("request").jsonObject.getValue("runs").jsonPrimitive.content)
        assertEquals("1", result.getValue("schema").jsonPrimitive.content)
        assertEquals(3, runtime.threads)
        assertTrue(runtime.closed)
    }

    /** Ten milliseconds each are settled at once, but a warm-up takes a second; then runs and seconds both count. */
    @Test
    fun `warms up until settled, then times for long enough`() {
        val runtime = FakeRuntime(rising = 0)
        val told = mutableListOf<Pair<Int, Double>>()
        val reply = Benchmark(listOf(runtime), emptyMap()) { runtime.now * 1_000_000 }
            .reply(request(", \"runs\": 4, \"seconds\": 0.08")) { done, share -> told += done to share }
        reply as BenchResult
        assertEquals(WarmUp(100, 1.0, settled = true), reply.warmup)
        assertEquals(List(8) { 10.0 }, reply.samplesMs)
        assertEquals((1..8).map { it to it / 8.0 }, told)
    }

    @Test
    fun `gives up warming up what never settles`() {
        val runtime = FakeRuntime(rising = 10)
        val reply = Benchmark(listOf(runtime), emptyMap()) { runtime.now * 1_000_000 }.reply(request(", \"runs\": 1"))
        reply as BenchResult
        assertEquals(false, reply.warmup.settled)
        assertTrue(reply.warmup.seconds >= 20, "${reply.warmup}")
    }

    @Test
    fun `a reply appears whole, its progress before it`(@TempDir folder: File) {
        var now = 0L
        val file = ReplyFile(folder, "r.json") { now }
        file.progress(1, 0.1)
        file.progress(2, 0.2)
        assertEquals("1 0.1\n", File(folder, "r.json.progress").readText())
        now = 600_000_000
        file.progress(3, 0.3)
        assertEquals("3 0.3\n", File(folder, "r.json.progress").readText())
        file.write(BenchFailure("no"))
        assertEquals(listOf("r.json"), folder.list()?.toList())
    }

    /** What a computer at the other end of a cable sends must not end the app. */
    @TestFactory
    fun `bad requests get their error as JSON`(): List<DynamicTest> = listOf(
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
            val reply = Benchmark(listOf(FakeRuntime()), emptyMap()).reply(request).toJson()
            val error = Golden.json.parseToJsonElement(reply).jsonObject.getValue("error").jsonPrimitive.content
            assertTrue(message in error, error)
        }
    }

    private fun request(
        rest: String,
        schema: Int = 1,
        runtime: String = "fake",
        artifact: String = Golden.file("stub.onnx").path.replace("\\", "/"),
    ) = "{\"schema\": $schema, \"runtime\": \"$runtime\", \"artifact\": \"$artifact\"$rest}"

    /** Loads in 100 ms; the n-th inference takes [rising] * n more than 10 ms, the first 40 more. */
    private class FakeRuntime(private val rising: Int = 1) : Runtime {
        override val name = "fake"
        override val version = "0"
        override val accelerator = "none"
        override val target = "onnx"
        var now = 0L
        var threads = 0
        var closed = false

        override fun open(artifact: Artifact, threads: Int): Session {
            now += 100
            this.threads = threads
            return object : Session {
                private var count = 0

                override fun run(image: Tensor): Map<String, Tensor> {
                    now += if (count == 0) 50 else 10 + rising * count
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
