package org.lvtmobile.core

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.io.TempDir
import java.io.File

class BenchExtrasTest {
    @TempDir
    private lateinit var folder: File

    @Test
    fun `extras become the core's request, numbers of either kind`() {
        val extras = mapOf("artifact" to "/x/m.onnx", "runtime" to "onnxruntime", "threads" to 2, "runs" to "16")
        val request = BenchRequest.parse(benchRequest(extras + ("seconds" to "2.5"), emptyList()))
        assertEquals(BenchRequest(1, "/x/m.onnx", "onnxruntime", threads = 2, runs = 16, seconds = 2.5), request)
    }

    @Test
    fun `an artifact without a path is looked for in the app's folders`() {
        val file = File(folder, "m.onnx").apply { writeText("") }
        val extras = mapOf("artifact" to "m.onnx", "runtime" to "onnxruntime")
        val request = BenchRequest.parse(benchRequest(extras, listOf(File(folder, "none"), folder)))
        assertEquals(file.path, request.artifact)
    }

    /** `am start` with a slip of the pen must still leave a reply to pull. */
    @TestFactory
    fun `bad extras are one JSON error`(): List<DynamicTest> = listOf(
        emptyMap<String, Any?>() to "not a benchmark request",
        mapOf("artifact" to "m.onnx") to "not a benchmark request",
        mapOf("artifact" to null, "runtime" to null) to "not a benchmark request",
        good("threads" to "many") to "not a benchmark request",
        good("threads" to 0) to "threads 0",
        good("runs" to (1L shl 40)) to "not a benchmark request",
        good("tread" to 1) to "not a benchmark request",
        good("schema" to 9) to "schema 9",
        good("seconds" to "NaN") to "not a benchmark request",
        good("seconds" to -1) to "seconds -1",
        good("runtime" to "tpu") to "no runtime tpu",
        good("runs" to 1.5f) to "not a benchmark request",
        good("runs" to listOf(1)) to "not a benchmark request",
        good() to "no artifact at",
    ).map { (extras, message) ->
        dynamicTest("$extras") {
            val reply = Benchmark(listOf(OnnxRuntime), emptyMap()).reply(benchRequest(extras, emptyList())).toJson()
            assertTrue("\"error\"" in reply && message in reply, reply)
        }
    }

    private fun good(vararg more: Pair<String, Any?>) =
        mapOf<String, Any?>("artifact" to "nowhere.onnx", "runtime" to "onnxruntime") + more

    @Test
    fun `a reply is written under a plain name and nowhere else`() {
        assertEquals("run-1.json", replyName(mapOf("reply" to "run-1.json")))
        for (bad in listOf(null, 1.5f to 2, "../models/m.onnx", "a/b", "", ".hidden", "x".repeat(101))) {
            assertEquals("bench.json", replyName(mapOf("reply" to bad)))
        }
    }
}
