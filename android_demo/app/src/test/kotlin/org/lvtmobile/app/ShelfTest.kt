package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir
import org.lvtmobile.core.Artifact
import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.OnnxRuntimeXnnpack
import org.lvtmobile.core.UserError
import java.io.File
import java.io.IOException

class ShelfTest {
    @TempDir
    private lateinit var root: File

    private val golden = File(System.getProperty("lvt.golden"))
    private val own get() = File(root, "models").apply { mkdirs() }
    private val copies get() = File(root, "copies")
    private val packaged = FakePackaged(golden)

    private fun shelf() = Shelf(listOf(own, File(root, "none")), packaged, copies)

    private fun put(name: String, manifest: String = File(golden, "stub.onnx.json").readText()) {
        File(golden, "stub.onnx").copyTo(File(own, name))
        File(own, "$name.json").writeText(manifest)
    }

    /** Stands for an app's assets: the files of a folder. */
    private class FakePackaged(private val folder: File) : Packaged {
        var names = listOf("stub.onnx", "stub.onnx.json", "placeholder.txt")
        var copied = 0
        var full = false

        override fun names() = names

        override fun text(name: String) = File(folder, name).readText()

        override fun copy(name: String, to: File) {
            if (full) throw IOException("no space left")
            copied++
            File(folder, name).copyTo(to, overwrite = true)
        }
    }

    @Test
    fun `an empty app has nothing to choose`() {
        packaged.names = emptyList()
        assertTrue(shelf().items().isEmpty())
        assertNull(Choice().item(emptyList()))
    }

    @Test
    fun `files without a manifest are no artifacts`() {
        File(own, "notes.txt").writeText("")
        assertEquals(listOf("stub.onnx"), shelf().items().map { it.name })
        assertEquals("stub.onnx (panoptic, fp32)", shelf().items().single().title)
    }

    @Test
    fun `one's own file comes before a packaged one of the same name`() {
        put("stub.onnx")
        assertEquals(false, shelf().items().single().packaged)
    }

    @Test
    fun `a packaged artifact is unpacked once, and again when the app brings another`() {
        assertEquals("stub.onnx", Artifact.open(shelf().items().single().file()).file.name)
        shelf().items().single().file()
        assertEquals(2, packaged.copied)
        File(copies, "stub.onnx.json").writeText("of an older app")
        shelf().items().single().file()
        assertEquals(4, packaged.copied)
    }

    @Test
    fun `a full device is one line`() {
        packaged.full = true
        val said = assertThrows<UserError> { shelf().items().single().file() }.message.orEmpty()
        assertTrue("no space left" in said, said)
    }

    @Test
    fun `a damaged manifest is shown, not hidden, and not chosen while there is another`() {
        put("a.onnx", manifest = "{}")
        val items = shelf().items()
        assertEquals(listOf("a.onnx (unreadable)", "stub.onnx (panoptic, fp32)"), items.map { it.title })
        assertThrows<UserError> { items.first().file() }
        assertEquals("stub.onnx", Choice().item(items)?.name)
        assertEquals("a.onnx", Choice(model = "a.onnx").item(items)?.name)
        assertEquals("stub.onnx", Choice(model = "deleted.onnx").item(items)?.name)
    }

    @Test
    fun `a runtime is one that takes the file`() {
        val runtimes = listOf(OnnxRuntime, OnnxRuntimeXnnpack)
        val item = shelf().items().single()
        assertEquals(OnnxRuntime, Choice().runtime(item, runtimes))
        assertEquals(OnnxRuntimeXnnpack, Choice(runtime = "onnxruntime-xnnpack").runtime(item, runtimes))
        assertEquals(OnnxRuntime, Choice(runtime = "tflite").runtime(item, runtimes))
        assertNull(Choice().runtime(item, emptyList()))
    }
}
