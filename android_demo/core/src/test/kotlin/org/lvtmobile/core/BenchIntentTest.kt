package org.lvtmobile.core

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.io.TempDir
import java.io.File

class BenchIntentTest {
    @TempDir
    private lateinit var folder: File

    @Test
    fun `converts extras to a request, with numbers of any extra type`() {
        val extras = mapOf("artifact" to "/x/m.onnx", "runtime" to "onnxruntime", "threads" to 2, "runs" to "16")
        val request = BenchRequest.parse(benchRequestJson(extras + ("seconds" to "2.5"), emptyList()))
        assertEquals(BenchRequest(1, "/x/m.onnx", "onnxruntime", threads = 2, runs = 16, seconds = 2.5), request)
    }

    @Test
    fun `finds an artifact without a path in the model folders`() {
        val file = File(folder, "m.onnx").apply { writeText("") }
        val extras = mapOf("artifact" to "m.onnx", "runtime" to "onnxruntime")
        val request = BenchRequest.parse(benchRequestJson(extras, listOf(File(folder, "none"), folder)))
        assertEquals(file.path, request.artifact)
    }

    /** A typing error in `am start` must still give a reply that the host can pull. */
    @TestFactory
    fun `replies to invalid extras with a JSON error`(): List<DynamicTest> = listOf(
        emptyMap<String, Any?>() to "not a benchmark request",
        mapOf("artifact" to "m.onnx") to "not a benchmark request",
        mapOf("artifact" to null, "runtime" to null) to "not a benchmark request",
        extrasWith("threads" to "many") to "not a benchmark request",
        extrasWith("threads" to 0) to "threads 0",
        extrasWith("runs" to (1L shl 40)) to "not a benchmark request",
        extrasWith("tread" to 1) to "not a benchmark request",
        extrasWith("schema" to 9) to "schema 9",
        extrasWith("seconds" to "NaN") to "not a benchmark request",
        extrasWith("seconds" to -1) to "seconds -1",
        extrasWith("runtime" to "tpu") to "no runtime tpu",
        extrasWith("runs" to 1.5f) to "not a benchmark request",
        extrasWith("runs" to listOf(1)) to "not a benchmark request",
        extrasWith() to "no artifact at",
    ).map { (extras, message) ->
        dynamicTest("$extras") {
            val reply = Benchmark(listOf(OnnxRuntime), emptyMap()).run(benchRequestJson(extras, emptyList())).toJson()
            assertTrue("\"error\"" in reply && message in reply, reply)
        }
    }

    private fun extrasWith(vararg overrides: Pair<String, Any?>) =
        mapOf<String, Any?>("artifact" to "nowhere.onnx", "runtime" to "onnxruntime") + overrides

    @Test
    fun `accepts plain reply file names only`() {
        assertEquals("run-1.json", replyFileName(mapOf("reply" to "run-1.json")))
        for (invalid in listOf(null, 1.5f to 2, "../models/m.onnx", "a/b", "", ".hidden", "x".repeat(101))) {
            assertEquals("bench.json", replyFileName(mapOf("reply" to invalid)))
        }
    }
}
