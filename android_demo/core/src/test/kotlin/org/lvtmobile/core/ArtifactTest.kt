package org.lvtmobile.core

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir
import java.io.File

/** An invalid artifact must give a one-line error, never a wrong result. */
class ArtifactTest {
    @TempDir
    private lateinit var folder: File

    private val model get() = File(folder, "stub.onnx")
    private val manifest get() = File(folder, "stub.onnx.json")

    @BeforeEach
    fun copy() {
        for (file in listOf(model, manifest)) GoldenData.file(file.name).copyTo(file, overwrite = true)
    }

    @Test
    fun `reads a manifest written by Python`() {
        val artifact = Artifact.open(model)
        assertEquals(Task.PANOPTIC, artifact.manifest.task)
        assertEquals(Size(256, 320), artifact.size)
        assertEquals(listOf(231, 76, 96), artifact.manifest.labels?.colours?.first())
        assertEquals(512, artifact.manifest.model.panoptic?.fusion?.minStuffArea)
        assertEquals(Size(240, 320), artifact.preprocessing.contentSize(Size(480, 640)))
    }

    @Test
    fun `rejects missing files`() {
        assertUserError("no artifact at") { Artifact.open(File(folder, "other.onnx")) }
        assertUserError("is a folder") { Artifact.open(folder) }
        manifest.delete()
        assertUserError("has no manifest") { Artifact.open(model) }
    }

    @Test
    fun `rejects a folder without parts or chips`() {
        assertTrue(model.delete() && model.mkdir())
        val message = "is a folder; artifacts for Android are files, or folders with parts or chips"
        assertUserError(message) { Artifact.open(model) }
    }

    @Test
    fun `rejects a model file from another export`() {
        model.appendText("more")
        assertUserError("SHA-256 differs") { Artifact.open(model) }
    }

    /** Each case replaces a part of the manifest text, and expects a part of the error message. */
    @TestFactory
    fun `rejects damaged manifests`(): List<DynamicTest> = listOf(
        Damage("\"schema\": 1", "\"schema\": 3", "has schema 3; this version reads 1 and 2"),
        Damage("\"schema\": 1", "\"schema\": 2", "has schema 2 and no parts, which do not go together"),
        Damage("\"schema\": 1", "\"schema\": 1,,", "is not a manifest"),
        Damage("\"task\": \"panoptic\"", "\"task\": \"depth\"", "incomplete or damaged"),
        Damage("\"sha256\"", "\"md5\"", "incomplete or damaged"),
        Damage("\"fit_into\"", "\"fit_around\"", "incomplete or damaged"),
        Damage("123.675", "123.5", "another golden tensor"),
        Damage("\"RGB\"", "\"BGR\"", "upright RGB"),
        Damage("\"person\",", "", "names"),
        Damage("\"stuff\": 9", "\"stuff\": 8", "12 things and 8 stuff for 21 classes"),
        Damage("\"mask_threshold\": 0.5", "\"mask_threshold\": 0", "mask_threshold"),
        Damage("\"NCHW\"", "\"NC\"", "one image of known height and width"),
        Damage("\"float32\"", "\"int8\"", "the file takes int8: quantize it without --integer-io"),
    ).map { damage ->
        dynamicTest("replace ${damage.original} by ${damage.replacement}") {
            val text = GoldenData.file(manifest.name).readText()
            assertTrue(damage.original in text)
            copy()
            manifest.writeText(text.replaceFirst(damage.original, damage.replacement))
            assertUserError(damage.message) { Artifact.open(model) }
        }
    }

    @Test
    fun `rejects a damaged model file`() {
        val artifact = Artifact.open(model)
        assertUserError("ONNX Runtime cannot load stub.onnx") { OnnxRuntime.open(artifact, threads = 1) }
    }

    @Test
    fun `rejects an artifact of another target`() {
        manifest.writeText(manifest.readText().replace("\"target\": \"onnx\"", "\"target\": \"tflite\""))
        assertUserError("stub.onnx is a tflite file; onnxruntime runs onnx files") {
            OnnxRuntime.open(Artifact.open(model), threads = 1)
        }
    }

    private data class Damage(val original: String, val replacement: String, val message: String)

    private fun assertUserError(message: String, action: () -> Unit) {
        val error = assertThrows<UserError> { action() }.message.orEmpty()
        assertTrue(message in error, error)
        assertFalse('\n' in error, error)
    }
}
