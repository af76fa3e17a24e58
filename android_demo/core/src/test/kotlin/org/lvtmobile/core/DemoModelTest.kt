package org.lvtmobile.core

import kotlinx.serialization.Serializable
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import java.io.File

/** End-to-end tests with the demo model that `make android` exports. */
class DemoModelTest {
    private val file = File(System.getProperty("lvt.artifact"))

    @BeforeEach
    fun requireArtifact() = assumeTrue(file.isFile, "$file is missing; `make android` exports it")

    @Serializable
    private data class Case(val picture: String, val ids: String, val segments: List<GoldenSegment>)

    @Test
    fun `panoptic maps equal those of the PyTorch reference`() {
        val artifact = Artifact.open(file)
        Predictor(artifact, OnnxRuntime.open(artifact, threads = 1)).use { predictor ->
            for (case in GoldenData.read<List<Case>>("demo.json")) {
                val prediction = predictor.predict(GoldenData.picture(case.picture)) as Prediction.Panoptic
                assertSamePanoptic(prediction.map, GoldenData.map(case.ids), case.segments)
                assertTrue(prediction.scores.all { it > 0.5f })
            }
        }
    }

    /** A missing accelerator must give a one-line error, not a crash. */
    @Test
    fun `a missing accelerator is a one-line error`() {
        val artifact = Artifact.open(file)
        for (runtime in listOf(OnnxRuntimeNnapi, OnnxRuntimeXnnpack)) {
            val error = assertThrows<UserError> { runtime.open(artifact, threads = 1) }.message.orEmpty()
            assertTrue(error.startsWith("ONNX Runtime cannot load"), error)
        }
    }

    @Test
    fun `measures the latency`() {
        val request = BenchRequest(BENCH_SCHEMA, file.path, OnnxRuntime.name, warmup = 0, runs = 2)
        val reply = Benchmark(listOf(OnnxRuntime), emptyMap()).run(GoldenData.json.encodeToString(request))
        val result = reply as? BenchResult ?: error(reply.toJson())
        assertEquals(2, result.samplesMs.size)
        assertTrue(result.samplesMs.all { it > 0 } && result.loadMs > 0 && result.firstMs > 0)
    }
}
