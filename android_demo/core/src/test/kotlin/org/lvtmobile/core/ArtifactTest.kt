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

/** Whatever is wrong with an artifact is one line for the user, and never a wrong picture. */
class ArtifactTest {
    @TempDir
    private lateinit var folder: File

    private val model get() = File(folder, "stub.onnx")
    private val sidecar get() = File(folder, "stub.onnx.json")

    @BeforeEach
    fun copy() {
        for (file in listOf(model, sidecar)) Golden.file(file.name).copyTo(file, overwrite = true)
    }

    @Test
    fun `a manifest written by Python is read`() {
        val artifact = Artifact.open(model)
        assertEquals(Task.PANOPTIC, artifact.manifest.task)
        assertEquals(Size(256, 320), artifact.size)
        assertEquals(listOf(231, 76, 96), artifact.manifest.labels?.colours?.first())
        assertEquals(512, artifact.manifest.model.panoptic?.fusion?.minStuffArea)
        assertEquals(Size(240, 320), artifact.preprocessing.contentSize(Size(480, 640)))
    }

    @Test
    fun `files that are missing`() {
        assertRefused("no artifact at") { Artifact.open(File(folder, "other.onnx")) }
        assertRefused("is a folder") { Artifact.open(folder) }
        sidecar.delete()
        assertRefused("has no manifest") { Artifact.open(model) }
    }

    @Test
    fun `a model of another export`() {
        model.appendText("more")
        assertRefused("SHA-256 differs") { Artifact.open(model) }
    }

    /** What of the manifest's text is replaced, by what, and what the message says. */
    @TestFactory
    fun `damaged manifests`(): List<DynamicTest> = listOf(
        Damage("\"schema\": 1", "\"schema\": 2", "has schema 2; this version reads 1"),
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
    ).map { damage ->
        dynamicTest("${damage.of} is ${damage.by}") {
            val text = Golden.file(sidecar.name).readText()
            assertTrue(damage.of in text)
            copy()
            sidecar.writeText(text.replaceFirst(damage.of, damage.by))
            assertRefused(damage.message) { Artifact.open(model) }
        }
    }

    @Test
    fun `a file no runtime takes`() {
        val artifact = Artifact.open(model)
        assertRefused("ONNX Runtime cannot load stub.onnx") { OnnxRuntime.open(artifact, threads = 1) }
    }

    @Test
    fun `a file of another target`() {
        sidecar.writeText(sidecar.readText().replace("\"target\": \"onnx\"", "\"target\": \"tflite\""))
        assertRefused("stub.onnx is a tflite file; onnxruntime runs onnx files") {
            OnnxRuntime.open(Artifact.open(model), threads = 1)
        }
    }

    private data class Damage(val of: String, val by: String, val message: String)

    private fun assertRefused(message: String, action: () -> Unit) {
        val said = assertThrows<UserError> { action() }.message.orEmpty()
        assertTrue(message in said, said)
        assertFalse('\n' in said, said)
    }
}
