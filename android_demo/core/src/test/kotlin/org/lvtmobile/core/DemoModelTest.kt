package org.lvtmobile.core

import kotlinx.serialization.Serializable
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir
import java.io.File

/** End-to-end tests with the demo model that `make android` exports, whole and in parts. */
class DemoModelTest {
    private val whole = File(System.getProperty("lvt.artifact"))
    private val inParts = File(System.getProperty("lvt.parts"))

    @TempDir
    private lateinit var folder: File

    @BeforeEach
    fun requireArtifacts() {
        for (file in listOf(whole, inParts)) {
            assumeTrue(file.exists(), "$file is missing; `make android` exports it")
        }
    }

    @Serializable
    private data class Case(val picture: String, val ids: String, val segments: List<GoldenSegment>)

    @Test
    fun `panoptic maps equal those of the PyTorch reference`() = forBoth { file ->
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
    fun `a missing accelerator is a one-line error`() = forBoth { file ->
        val artifact = Artifact.open(file)
        for (runtime in listOf(OnnxRuntimeNnapi, OnnxRuntimeXnnpack)) {
            val error = assertThrows<UserError> { runtime.open(artifact, threads = 1) }.message.orEmpty()
            assertTrue(error.startsWith("ONNX Runtime cannot load"), error)
        }
    }

    @Test
    fun `measures the latency`() = forBoth { file ->
        val request = BenchRequest(BENCH_SCHEMA, file.path, OnnxRuntime.name, warmup = 0, runs = 2)
        val reply = Benchmark(listOf(OnnxRuntime), emptyMap()).run(GoldenData.json.encodeToString(request))
        val result = reply as? BenchResult ?: error(reply.toJson())
        assertEquals(2, result.samplesMs.size)
        assertTrue(result.samplesMs.all { it > 0 } && result.loadMs > 0 && result.firstMs > 0)
        assertEquals(file == inParts, "\"stages\"" in reply.toJson())
        result.stages?.let { stages ->
            assertEquals(Stage.entries.map { it.label }, stages.milliseconds.keys.toList())
            assertEquals(Artifact.open(file).manifest.parts?.host?.proposals, stages.proposals)
        }
    }

    /** The manifest describes an incomplete folder, as if it had been written so. */
    @Test
    fun `a missing or wrong file of a folder is a one-line error`() {
        val model = copyParts()
        assertTrue(File(model, "masks.onnx").delete())
        assertTrue("SHA-256 differs" in errorOf { Artifact.open(model) })
        rewriteHash(model)
        assertEquals("${model.name}/masks.onnx is missing; export the artifact again", errorOf { openOnnx(model) })
        File(model, "boxes.onnx").copyTo(File(model, "masks.onnx"))
        rewriteHash(model)
        assertTrue("masks.onnx has inputs [features] and outputs" in errorOf { openOnnx(model) })
        File(model, "masks.onnx").writeText("no model")
        rewriteHash(model)
        assertTrue("ONNX Runtime cannot load" in errorOf { openOnnx(model) })
    }

    /** Finder adds files to folders that it shows. */
    @Test
    fun `the hash of a folder leaves out what macOS adds`() {
        val model = copyParts()
        File(model, ".DS_Store").writeText("")
        Artifact.open(model)
        File(model, "more").writeText("")
        assertTrue("SHA-256 differs" in errorOf { Artifact.open(model) })
    }

    /** Each case replaces a part of the manifest text, and expects a part of the error message. */
    @TestFactory
    fun `rejects damaged manifests of parts`(): List<DynamicTest> = listOf(
        Triple("\"schema\": 2", "\"schema\": 1", "has schema 1 and parts, which do not go together"),
        Triple("\"parts\": {", "\"pieces\": {", "has schema 2 and no parts, which do not go together"),
        Triple("\"schema\": 2", "\"schema\": 3", "has schema 3; this version reads 1 and 2"),
        Triple("\"box_batch\": 50", "\"box_batch\": 0", "box_batch must be 1 to 65536, not 0"),
        Triple("\"box_batch\": 50", "\"box_batch\": 49", "features of boxes has shape [50, 2352] instead of [49,"),
        Triple("\"mask_batch\": 4", "\"mask_batch\": 5", "of masks has shape"),
        Triple("\"mask_size\": 14", "\"mask_size\": 7", "has shape"),
        Triple("\"detections\": 16", "\"detections\": 15", "boxes of the model has shape [16, 4] instead of [15,"),
        Triple("\"things\": 12", "\"things\": 11", "parts are for 11 things, not 12"),
        Triple("\"stride\": 8", "\"stride\": 16", "p3 has 32 x 40 cells, but the image has 16 x 20"),
        Triple("\"feature_levels\": 4", "\"feature_levels\": 6", "6 feature levels of 5"),
        Triple("\"channels\": 48", "\"channels\": 47", "output p2 of core has shape"),
        Triple("-11.313708305358887,", "", "each anchor of p3 must have 4 numbers"),
        Triple("\"masks\",\n        \"inputs\"", "\"mask\",\n        \"inputs\"", "parts are [core, boxes, mask]"),
        Triple("\"finest_scale\": 28.0", "\"finest_scale\": 0", "finest_scale"),
        Triple("\"score_threshold\": 0.5", "\"score_threshold\": -1", "not a positive number"),
        Triple("\"roi_stds\": [", "\"roi_stds\": [1,", "stds must have 4 numbers"),
    ).map { (original, replacement, message) ->
        dynamicTest("replace $original by $replacement") {
            val model = copyParts()
            val manifest = File("${model.path}.json")
            val text = manifest.readText()
            assertTrue(original in text)
            val start = text.lastIndexOf(original) // the constants follow the configuration of the model
            manifest.writeText(text.replaceRange(start, start + original.length, replacement))
            val error = errorOf { Artifact.open(model) }
            assertTrue(message in error, error)
        }
    }

    private fun forBoth(test: (File) -> Unit) = listOf(whole, inParts).forEach(test)

    private fun copyParts(): File {
        val model = File(folder, "copy-${folder.list()?.size}.onnx-parts")
        inParts.copyRecursively(model)
        File("${inParts.path}.json").copyTo(File("${model.path}.json"))
        return model
    }

    private fun rewriteHash(model: File) {
        val manifest = File("${model.path}.json")
        val hash = GoldenData.json.decodeFromString<Manifest>(manifest.readText()).file.sha256
        manifest.writeText(manifest.readText().replace(hash, contentSha256(model)))
    }

    private fun openOnnx(model: File) = OnnxRuntime.open(Artifact.open(model), threads = 1).close()

    private fun errorOf(action: () -> Unit): String {
        val error = assertThrows<UserError> { action() }.message.orEmpty()
        assertFalse('\n' in error, error)
        return error
    }
}
