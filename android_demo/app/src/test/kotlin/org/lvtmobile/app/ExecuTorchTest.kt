package org.lvtmobile.app

import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.lvtmobile.core.Artifact
import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.Picture
import org.lvtmobile.core.Placement
import org.lvtmobile.core.Tensor
import org.lvtmobile.core.UserError
import org.pytorch.executorch.EValue
import org.pytorch.executorch.ExecutorchRuntimeException
import java.io.File
import java.nio.FloatBuffer
import org.pytorch.executorch.Tensor as ExecuTorchTensor

/**
 * What surrounds ExecuTorch's library, which does not exist on a desktop: its classes for values are real, and ONNX
 * Runtime computes them.
 */
class ExecuTorchTest {
    @get:Rule
    val folder = TemporaryFolder()

    /** The demo model in parts with the manifest of an ExecuTorch file. */
    private val artifact: Artifact by lazy {
        assumeTrue("$demoParts is missing; `make android` exports it", demoParts.exists())
        val model = File(folder.root, "demo.pte")
        demoParts.copyRecursively(model)
        val manifest = File("$demoParts.json").readText().replace("\"target\": \"onnx\"", "\"target\": \"executorch\"")
        File("$model.json").writeText(manifest)
        Artifact.open(model)
    }

    private val image: Tensor by lazy { artifact.preprocessing.apply(Picture.golden()) }

    /** An input in the wrong order or a shared buffer would change the outputs. */
    @Test
    fun `a file with methods gives the outputs of the model`() {
        val program = OnnxProgram(artifact)
        val expected = OnnxRuntime.open(Artifact.open(demoParts), threads = 1).use { session ->
            session.run(image).mapValues { it.value.values.copyOf() }
        }
        executorchSession(artifact, program) {}.use { session ->
            repeat(2) { // buffers are used again
                val outputs = session.run(image)
                assertEquals(expected.keys, outputs.keys)
                for ((name, values) in expected) assertArrayEquals(name, values, outputs.getValue(name).values, 0f)
            }
            assertEquals(listOf("core", "boxes", "masks"), program.loaded)
        }
        assertTrue(program.closed)
    }

    @Test
    fun `the placement is that of the export if the file uses XNNPACK alone`() {
        val total = checkNotNull(artifact.manifest.placement).delegated.values.sum()
        assertEquals(Placement(total, total), executorchPlacement(artifact, setOf("XnnpackBackend")))
        assertNull(executorchPlacement(artifact, setOf("XnnpackBackend", "VulkanBackend")))
        assertNull(executorchPlacement(artifact, emptySet()))
    }

    /** A session that does not open must not keep the file, nor the threads. */
    @Test
    fun `a file that does not fit is closed`() {
        val program = OnnxProgram(artifact, methods = listOf("core", "boxes"))
        val error = assertThrows(UserError::class.java) { executorchSession(artifact, program) {} }
        assertEquals("demo.pte has no method masks; export it again", error.message)
        assertTrue(program.closed)
    }

    @Test
    fun `names the method that fails`() {
        val program = OnnxProgram(artifact)
        val session = executorchSession(artifact, program) {}
        val failures = mapOf<() -> List<EValue>, String>(
            { throw ExecutorchRuntimeException.makeExecutorchException(ExecutorchRuntimeException.OPERATOR_MISSING, "topk") } to
                "ExecuTorch cannot run core of demo.pte: ",
            { emptyList<EValue>() } to "core of demo.pte has 0 outputs, but its manifest declares 15; export it again",
            { List(15) { value(1, 2) } } to
                "output p2 of core of demo.pte has shape [1, 2], but its manifest declares [1, 64, 80, 48]; export it again",
        )
        for ((result, message) in failures) {
            program.result = result
            val error = assertThrows(UserError::class.java) { session.run(image) }.message.orEmpty()
            assertTrue(error, error.startsWith(message) && '\n' !in error)
        }
    }

    /** ExecuTorch would wait forever in the first model. */
    @Test
    fun `a second model with other threads is refused`() {
        val threads = SharedThreads()
        threads.enter("a.pte", 4)
        threads.enter("b.pte", 4)
        val error = assertThrows(UserError::class.java) { threads.enter("c.pte", 1) }
        assertEquals(
            "ExecuTorch cannot load c.pte with 1 threads, because another model is loaded with 4; close it first",
            error.message,
        )
        repeat(2) { threads.leave() }
        threads.enter("c.pte", 1)
    }
}

private fun value(vararg shape: Long): EValue =
    EValue.from(ExecuTorchTensor.fromBlob(FloatArray(shape.fold(1L, Long::times).toInt()), shape))

/** Methods of a file, computed by ONNX Runtime. [result] replaces the outputs. */
private class OnnxProgram(
    private val artifact: Artifact,
    override val methods: List<String> = listOf("lvt_schema", "core", "boxes", "masks"),
) : ExecuTorchProgram {
    private val environment = OrtEnvironment.getEnvironment()
    val loaded = mutableListOf<String>()
    var result: (() -> List<EValue>)? = null
    var closed = false

    override fun backends(method: String) = listOf("XnnpackBackend")

    override fun load(method: String) {
        loaded += method
    }

    override fun execute(method: String, inputs: List<EValue>): List<EValue> {
        result?.let { return it() }
        val entry = checkNotNull(artifact.manifest.parts).entryPoint(method)
        environment.createSession("${artifact.file}/$method.onnx").use { session ->
            val tensors = entry.inputs.zip(inputs) { info, value ->
                val tensor = value.toTensor()
                info.name to OnnxTensor.createTensor(environment, FloatBuffer.wrap(tensor.dataAsFloatArray), tensor.shape())
            }.toMap()
            session.run(tensors).use { results ->
                return entry.outputs.map { info ->
                    val output = results[info.name].get() as OnnxTensor
                    val values = FloatArray(output.info.numElements.toInt()).also { output.floatBuffer.get(it) }
                    EValue.from(ExecuTorchTensor.fromBlob(values, output.info.shape))
                }
            }
        }
    }

    override fun close() {
        closed = true
    }
}
