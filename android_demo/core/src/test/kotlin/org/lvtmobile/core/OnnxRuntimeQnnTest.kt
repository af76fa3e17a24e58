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

/** What a phone refuses before Qualcomm's libraries run, which this project does not contain. */
class OnnxRuntimeQnnTest {
    @TempDir
    private lateinit var folder: File

    private val model get() = File(folder, "stub.qnn")
    private val manifest get() = File(folder, "stub.qnn.json")
    private val libraries get() = File(folder, "lib")

    /** A folder as `lvt-export qnn` writes it for two chips; its graphs are no models. */
    @BeforeEach
    fun write() {
        for (path in listOf("main.onnx", "sm8550/main.onnx", "sm8650/main.onnx", "sm8650/main_qnn.bin")) {
            val file = File(model, path)
            checkNotNull(file.parentFile).mkdirs()
            file.writeText(path)
        }
        val text = GoldenData.file("stub.onnx.json").readText()
        val hash = GoldenData.json.decodeFromString<Manifest>(text).file.sha256
        manifest.writeText(
            text.replace("\"target\": \"onnx\"", "\"target\": \"qnn\",\n  $CHIPS").replace(hash, contentSha256(model)),
        )
    }

    private fun chip(soc: String) = Artifact.open(model).chip(soc).soc

    private fun open(soc: String = "SM8650") =
        OnnxRuntimeQnn(soc, libraries).open(Artifact.open(model), threads = 1).close()

    @Test
    fun `finds the phone's chip by the name that Android tells`() {
        assertEquals("sm8650", chip("SM8650"))
        assertEquals("sm8650", chip("SM8650-AC"))
        assertEquals("sm8550", chip("sm8550"))
    }

    @Test
    fun `refuses another chip, and a phone that does not tell its chip`() {
        val compiled = "stub.qnn is compiled for sm8550 (Snapdragon 8 Gen 2), sm8650 (Snapdragon 8 Gen 3)"
        assertUserError("$compiled, and this phone's chip is sm8750: export it with --soc sm8750") { open("SM8750-AB") }
        assertUserError("$compiled, and this phone's chip is tensor g3") { open("Tensor G3") }
        for (unknown in listOf("", "unknown")) {
            assertUserError("$compiled, but Android does not tell this phone's chip; Android 12 and newer do") {
                open(unknown)
            }
        }
    }

    @Test
    fun `tells which of Qualcomm's libraries is missing and how to add it`() {
        val help = "is missing; docs/android.md tells how to add them"
        assertUserError("Qualcomm's libraries are not in this app: libonnxruntime_providers_qnn.so $help") { open() }
        assertTrue(libraries.mkdir() && File(libraries, "libonnxruntime_providers_qnn.so").createNewFile())
        assertUserError("Qualcomm's libraries are not in this app: libQnnHtp.so $help") { open() }
    }

    @Test
    fun `a library that does not load is a one-line error`() {
        assertTrue(libraries.mkdir())
        for (name in listOf("libonnxruntime_providers_qnn.so", "libQnnHtp.so")) File(libraries, name).writeText("?")
        val error = assertThrows<UserError> { open() }.message.orEmpty()
        assertTrue(error.startsWith("Qualcomm's libraries do not load: "), error)
        assertFalse('\n' in error, error)
    }

    @Test
    fun `runs compiled files only`() {
        for (name in listOf("stub.onnx", "stub.onnx.json")) GoldenData.file(name).copyTo(File(folder, name))
        assertUserError("stub.onnx is a onnx file; onnxruntime-qnn runs qnn files") {
            OnnxRuntimeQnn("SM8650", libraries).open(Artifact.open(File(folder, "stub.onnx")), threads = 1)
        }
        assertUserError("stub.qnn is a qnn file; onnxruntime runs onnx files") {
            OnnxRuntime.open(Artifact.open(model), threads = 1)
        }
    }

    /** Each case replaces the chips of the manifest, and expects a part of the error message. */
    @TestFactory
    fun `rejects damaged chips`(): List<DynamicTest> = listOf(
        "\"chips\": []" to "is a folder",
        "\"chips\": {}" to "incomplete or damaged",
        "\"chips\": [{\"soc\": \"sm8650\"}]" to "incomplete or damaged",
        "\"chips\": [{\"soc\": 8650, \"name\": \"\"}]" to "incomplete or damaged",
        "\"chips\": [{\"soc\": \"../sm8650\", \"name\": \"\"}]" to "'../sm8650' is not the model number of a chip",
    ).map { (chips, message) ->
        dynamicTest(chips) {
            write()
            manifest.writeText(manifest.readText().replace(CHIPS, chips))
            val error = assertThrows<UserError> { Artifact.open(model) }.message.orEmpty()
            assertTrue(message in error, error)
            assertFalse('\n' in error, error)
        }
    }

    /** A file instead of a folder, because a folder without chips is refused for another reason. */
    @Test
    fun `rejects a compiled file without chips`() {
        for (name in listOf("stub.onnx", "stub.onnx.json")) GoldenData.file(name).copyTo(File(folder, name))
        val file = File(folder, "stub.onnx.json")
        file.writeText(file.readText().replace("\"target\": \"onnx\"", "\"target\": \"qnn\""))
        assertUserError("stub.onnx.json: chips are missing") { Artifact.open(File(folder, "stub.onnx")) }
    }

    private fun assertUserError(message: String, action: () -> Unit) =
        assertEquals(message, assertThrows<UserError> { action() }.message)

    private companion object {
        const val CHIPS = "\"chips\": [{\"soc\": \"sm8550\", \"name\": \"Snapdragon 8 Gen 2\", \"htp_arch\": 73}, " +
            "{\"soc\": \"sm8650\", \"name\": \"Snapdragon 8 Gen 3\", \"htp_arch\": 75}]"
    }
}
