package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir
import org.lvtmobile.core.Artifact
import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.OnnxRuntimeXnnpack
import org.lvtmobile.core.UserError
import java.io.File
import java.io.IOException

class ModelRepositoryTest {
    @TempDir
    private lateinit var root: File

    private val golden = File(System.getProperty("lvt.golden"))
    private val userFolder get() = File(root, "models").apply { mkdirs() }
    private val unpackFolder get() = File(root, "unpacked")
    private val bundledFiles = FakeBundledFiles(golden)

    private fun entries() =
        ModelRepository(listOf(userFolder, File(root, "none")), bundledFiles, unpackFolder).entries()

    private fun addUserModel(name: String, manifest: String = File(golden, "stub.onnx.json").readText()) {
        File(golden, "stub.onnx").copyTo(File(userFolder, name))
        File(userFolder, "$name.json").writeText(manifest)
    }

    /** Simulates the assets of an app with the files of a folder. */
    private class FakeBundledFiles(private val folder: File) : BundledFiles {
        var paths = listOf("stub.onnx", "stub.onnx.json", "placeholder.txt")
        var copied = 0
        var diskFull = false

        override fun paths() = paths

        override fun readText(path: String) = File(folder, path).readText()

        override fun copy(path: String, to: File) {
            if (diskFull) throw IOException("no space left")
            copied++
            File(folder, path).copyTo(to, overwrite = true)
        }
    }

    @Test
    fun `has no entries without models`() {
        bundledFiles.paths = emptyList()
        assertTrue(entries().isEmpty())
        assertNull(RunSettings().selectEntry(emptyList()))
    }

    @Test
    fun `ignores files without a manifest`() {
        File(userFolder, "notes.txt").writeText("")
        assertEquals(listOf("stub.onnx"), entries().map { it.name })
        assertEquals("stub.onnx (panoptic, fp32)", entries().single().title)
    }

    @Test
    fun `prefers a user model to a bundled model of the same name`() {
        addUserModel("stub.onnx")
        assertEquals(false, entries().single().bundled)
    }

    @Test
    fun `unpacks a bundled artifact once, and again after an update of the app`() {
        assertEquals("stub.onnx", Artifact.open(entries().single().file()).file.name)
        entries().single().file()
        assertEquals(2, bundledFiles.copied)
        File(unpackFolder, "stub.onnx.json").writeText("from an older app")
        entries().single().file()
        assertEquals(4, bundledFiles.copied)
    }

    /** Simulates the demo model in parts in the assets. Files that an older version of it left must go. */
    @Test
    fun `unpacks a folder with all its files, and nothing else`() {
        val model = File(System.getProperty("lvt.parts"))
        assumeTrue(model.isDirectory, "$model is missing; `make android` exports it")
        val assets = FakeBundledFiles(checkNotNull(model.parentFile))
        val files = model.list().orEmpty().map { "${model.name}/$it" }
        assets.paths = files + "${model.name}.json"
        File(unpackFolder, "${model.name}/old.onnx").apply { checkNotNull(parentFile).mkdirs() }.writeText("")
        val entry = ModelRepository(listOf(userFolder), assets, unpackFolder).entries().single()
        assertEquals(model.name to true, entry.name to entry.bundled)
        repeat(2) { assertEquals(File(unpackFolder, model.name), Artifact.open(entry.file()).file) }
        assertEquals(files.size + 1, assets.copied)
    }

    @Test
    fun `finds a folder in parts that the user copied`() {
        val model = File(System.getProperty("lvt.parts"))
        assumeTrue(model.isDirectory, "$model is missing; `make android` exports it")
        model.copyRecursively(File(userFolder, model.name))
        File("$model.json").copyTo(File(userFolder, "${model.name}.json"))
        val entry = entries().first()
        assertEquals("${model.name} (panoptic, fp32)", entry.title)
        Artifact.open(entry.file())
    }

    @Test
    fun `reports a full disk`() {
        bundledFiles.diskFull = true
        val error = assertThrows<UserError> { entries().single().file() }.message.orEmpty()
        assertTrue("no space left" in error, error)
    }

    @Test
    fun `lists a damaged manifest, but does not select it by default`() {
        addUserModel("a.onnx", manifest = "{}")
        val entries = entries()
        assertEquals(listOf("a.onnx (unreadable)", "stub.onnx (panoptic, fp32)"), entries.map { it.title })
        assertThrows<UserError> { entries.first().file() }
        assertEquals("stub.onnx", RunSettings().selectEntry(entries)?.name)
        assertEquals("a.onnx", RunSettings(model = "a.onnx").selectEntry(entries)?.name)
        assertEquals("stub.onnx", RunSettings(model = "deleted.onnx").selectEntry(entries)?.name)
    }

    @Test
    fun `selects a runtime that supports the artifact`() {
        val runtimes = listOf(OnnxRuntime, OnnxRuntimeXnnpack)
        val entry = entries().single()
        assertEquals(OnnxRuntime, RunSettings().selectRuntime(entry, runtimes))
        assertEquals(OnnxRuntimeXnnpack, RunSettings(runtime = "onnxruntime-xnnpack").selectRuntime(entry, runtimes))
        assertEquals(OnnxRuntime, RunSettings(runtime = "tflite").selectRuntime(entry, runtimes))
        assertNull(RunSettings().selectRuntime(entry, emptyList()))
    }
}
