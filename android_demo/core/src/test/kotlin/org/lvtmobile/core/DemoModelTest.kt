package org.lvtmobile.core

import kotlinx.serialization.Serializable
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import java.io.File

/** The whole road with the exported demonstration model, which `make android` puts there. */
class DemoModelTest {
    private val file = File(System.getProperty("lvt.artifact"))

    @BeforeEach
    fun needsArtifact() = assumeTrue(file.isFile, "$file is missing; `make android` exports it")

    @Serializable
    private data class Case(val picture: String, val ids: String, val segments: List<GoldenSegment>)

    @Test
    fun `a picture becomes the panoptic map of the PyTorch reference`() {
        val artifact = Artifact.open(file)
        Model(artifact, OnnxRuntime.open(artifact, threads = 1)).use { model ->
            for (case in Golden.read<List<Case>>("demo.json")) {
                val answer = model.answer(Golden.picture(case.picture)) as Answer.Panoptic
                assertSamePanoptic(answer.map, Golden.map(case.ids), case.segments)
                assertTrue(answer.scores.all { it > 0.5f })
            }
        }
    }

    /** A runtime without the accelerator must say so, not end the app. */
    @Test
    fun `an accelerator that is not there is one line`() {
        val artifact = Artifact.open(file)
        for (runtime in listOf(OnnxRuntimeNnapi, OnnxRuntimeXnnpack)) {
            val said = assertThrows<UserError> { runtime.open(artifact, threads = 1) }.message.orEmpty()
            assertTrue(said.startsWith("ONNX Runtime cannot load"), said)
        }
    }

    @Test
    fun `it is timed`() {
        val request = BenchRequest(BENCH_SCHEMA, file.path, OnnxRuntime.name, warmup = 0, runs = 2)
        val reply = Benchmark(listOf(OnnxRuntime), emptyMap()).reply(Golden.json.encodeToString(request))
        val result = reply as? BenchResult ?: error(reply.toJson())
        assertEquals(2, result.samplesMs.size)
        assertTrue(result.samplesMs.all { it > 0 } && result.loadMs > 0 && result.firstMs > 0)
    }
}
