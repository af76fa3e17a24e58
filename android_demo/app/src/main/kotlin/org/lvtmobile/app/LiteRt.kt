package org.lvtmobile.app

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Session
import org.lvtmobile.core.Tensor
import org.lvtmobile.core.UserError
import org.lvtmobile.core.requireTarget
import org.lvtmobile.core.firstLine
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.TensorFlowLite
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.gpu.GpuDelegateFactory
import org.tensorflow.lite.nnapi.NnApiDelegate
import java.nio.Buffer
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/** LiteRT on the CPU, with XNNPACK. */
object LiteRt : Runtime by LiteRtBackend("tflite", "xnnpack", { null })

/**
 * LiteRT with the GPU delegate (OpenCL, else OpenGL). Operators that the delegate does not support run
 * with XNNPACK. See [allowsFp16] for the precision. A session must be used on the thread that opened it,
 * because the GPU context belongs to that thread.
 */
object LiteRtGpu : Runtime by LiteRtBackend("tflite-gpu", "gpu", { artifact ->
    GpuDelegate(
        GpuDelegateFactory.Options()
            .setPrecisionLossAllowed(allowsFp16(artifact))
            .setInferencePreference(GpuDelegateFactory.Options.INFERENCE_PREFERENCE_SUSTAINED_SPEED),
    )
})

/**
 * LiteRT with Android's NNAPI. Operators that NNAPI does not support run with XNNPACK. The slow CPU
 * reference implementation of NNAPI is disabled. NNAPI is deprecated since Android 15.
 */
object LiteRtNnapi : Runtime by LiteRtBackend("tflite-nnapi", "nnapi", { artifact ->
    NnApiDelegate(
        NnApiDelegate.Options()
            .setUseNnapiCpu(false)
            .setAllowFp16(allowsFp16(artifact))
            .setExecutionPreference(NnApiDelegate.Options.EXECUTION_PREFERENCE_SUSTAINED_SPEED),
    )
})

/** Float16 is allowed unless the precision of the artifact is fp32, because its parity was verified in float32. */
internal fun allowsFp16(artifact: Artifact): Boolean = artifact.manifest.precision != "fp32"

/** @param delegate creates the delegate that gets operators before XNNPACK; null for no delegate. */
private class LiteRtBackend(
    override val name: String,
    override val accelerator: String,
    private val delegate: (Artifact) -> Delegate?,
) : Runtime {
    override val version: String get() = TensorFlowLite.runtimeVersion()
    override val target: String = "tflite"

    override fun open(artifact: Artifact, threads: Int): Session {
        requireTarget(artifact)
        try {
            return open(artifact, threads, delegate(artifact))
        } catch (error: IllegalArgumentException) {
            throw cannotLoad(artifact, error)
        } catch (error: IllegalStateException) {
            throw cannotLoad(artifact, error)
        }
    }

    /** Closes interpreter and delegate if opening the session fails. */
    private fun open(artifact: Artifact, threads: Int, delegate: Delegate?): Session {
        val resources = listOfNotNull(delegate).toMutableList<AutoCloseable>()
        var session: Session? = null
        try {
            val options = Interpreter.Options().setUseXNNPACK(true)
            if (threads > 0) options.setNumThreads(threads)
            delegate?.let(options::addDelegate)
            val interpreter = Interpreter(artifact.file, options)
            resources.add(0, interpreter) // must be closed before the delegate
            session = LiteRtSession(interpreter, artifact, resources)
            return session
        } finally {
            if (session == null) resources.forEach(AutoCloseable::close)
        }
    }

    private fun cannotLoad(artifact: Artifact, error: Exception): UserError {
        val message = "LiteRT cannot load ${artifact.file.name} with $accelerator: ${error.firstLine()}"
        val hint = if (name == LiteRt.name) "" else "; the runtime ${LiteRt.name} needs no accelerator"
        return UserError(message + hint, error)
    }
}

/** Allocates the input and output buffers once and reuses them. Closes [resources] in order. */
private class LiteRtSession(
    private val interpreter: Interpreter,
    private val artifact: Artifact,
    private val resources: List<AutoCloseable>,
) : Session {
    private val signature = interpreter.signatureKeys.singleOrNull()
        ?: throw UserError("${artifact.file.name} has no signature with output names; export it again")
    private val input = artifact.manifest.inputs.single()
    private val inputBuffer = allocate(input.shape)
    private val inputs: Map<String, Any>
    private val outputs: Map<String, Output>
    private val outputBuffers: Map<String, Any>

    private class Output(val shape: List<Int>, val type: DataType, val bytes: ByteBuffer)

    init {
        val declared = artifact.manifest.outputs.map { it.name }.toSet()
        val names = interpreter.getSignatureOutputs(signature).toSet()
        val image = interpreter.getSignatureInputs(signature).singleOrNull()
        if (names != declared || image == null) {
            throw UserError(
                "${artifact.file.name} has outputs $names, but its manifest declares $declared; export it again",
            )
        }
        val tensor = interpreter.getInputTensorFromSignature(image, signature)
        if (tensor.dataType() != DataType.FLOAT32 || tensor.shape().toList() != input.shape) {
            throw UserError(
                "${artifact.file.name} expects ${tensor.dataType()} ${tensor.shape().toList()}, but its manifest " +
                    "declares float32 ${input.shape}; export it again",
            )
        }
        inputs = mapOf(image to inputBuffer)
        outputs = names.associateWith { allocateOutput(it) }
        outputBuffers = outputs.mapValues { it.value.bytes }
    }

    private fun allocateOutput(name: String): Output {
        val tensor = interpreter.getOutputTensorFromSignature(name, signature)
        val type = tensor.dataType()
        if (type != DataType.FLOAT32 && type != DataType.INT32) {
            throw UserError("output $name of ${artifact.file.name} has type $type; float32 or int32 is expected")
        }
        val shape = tensor.shape().toList()
        return Output(shape, type, allocate(shape))
    }

    override fun run(image: Tensor): Map<String, Tensor> {
        val pixels = inputBuffer.asFloatBuffer()
        if (input.layout == "NHWC") putNhwc(image, pixels) else pixels.put(image.values)
        outputs.values.forEach { rewind(it.bytes) }
        try {
            interpreter.runSignature(inputs, outputBuffers, signature)
        } catch (error: IllegalArgumentException) {
            throw UserError("LiteRT cannot run ${artifact.file.name}: ${error.firstLine()}", error)
        } catch (error: IllegalStateException) {
            throw UserError("LiteRT cannot run ${artifact.file.name}: ${error.firstLine()}", error)
        }
        return outputs.mapValues { (_, output) -> read(output) }
    }

    private fun read(output: Output): Tensor {
        rewind(output.bytes)
        val values = FloatArray(output.shape.fold(1, Int::times))
        if (output.type == DataType.FLOAT32) {
            output.bytes.asFloatBuffer().get(values)
        } else {
            val integers = output.bytes.asIntBuffer()
            for (i in values.indices) values[i] = integers.get(i).toFloat()
        }
        return Tensor(output.shape, values)
    }

    override fun close() = resources.forEach(AutoCloseable::close)
}

/** Calls [Buffer.rewind]: before Android 10, the subclasses do not override it. */
private fun rewind(buffer: Buffer) {
    buffer.rewind()
}

/** Allocates a direct buffer for 4-byte values of a shape. */
private fun allocate(shape: List<Int>): ByteBuffer =
    ByteBuffer.allocateDirect(Float.SIZE_BYTES * shape.fold(1, Int::times)).order(ByteOrder.nativeOrder())

/** Converts an image (1, 3, H, W) to (1, H, W, 3). */
internal fun putNhwc(image: Tensor, target: FloatBuffer) {
    val channels = image.shape[1]
    val area = image.shape[2] * image.shape[3]
    for (pixel in 0 until area) {
        for (c in 0 until channels) target.put(image.values[c * area + pixel])
    }
}
