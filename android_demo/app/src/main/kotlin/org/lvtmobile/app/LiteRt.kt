package org.lvtmobile.app

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Session
import org.lvtmobile.core.Tensor
import org.lvtmobile.core.UserError
import org.lvtmobile.core.checkTakes
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

/** LiteRT's interpreter with XNNPACK, on the CPU. */
object LiteRt : Runtime by LiteRtBackend("tflite", "xnnpack", { null })

/**
 * LiteRT with the GPU (OpenCL, else OpenGL) for the operators that its delegate takes, XNNPACK for the
 * rest. Half precision only where the file was proved in it, or in less. A session belongs to the
 * thread that opened it, for so does the GPU's context.
 */
object LiteRtGpu : Runtime by LiteRtBackend("tflite-gpu", "gpu", { artifact ->
    GpuDelegate(
        GpuDelegateFactory.Options()
            .setPrecisionLossAllowed(halfPrecision(artifact))
            .setInferencePreference(GpuDelegateFactory.Options.INFERENCE_PREFERENCE_SUSTAINED_SPEED),
    )
})

/**
 * LiteRT with Android's NNAPI for the operators that this takes, XNNPACK for the rest. NNAPI's own
 * slow reference for the CPU is ruled out. Android has deprecated NNAPI since version 15.
 */
object LiteRtNnapi : Runtime by LiteRtBackend("tflite-nnapi", "nnapi", { artifact ->
    NnApiDelegate(
        NnApiDelegate.Options()
            .setUseNnapiCpu(false)
            .setAllowFp16(halfPrecision(artifact))
            .setExecutionPreference(NnApiDelegate.Options.EXECUTION_PREFERENCE_SUSTAINED_SPEED),
    )
})

/** Whether rounding to float16 is less than what the file's own parity allows for. */
internal fun halfPrecision(artifact: Artifact): Boolean = artifact.manifest.precision != "fp32"

/** @param delegate makes what operators are offered to before XNNPACK; null: nothing. */
private class LiteRtBackend(
    override val name: String,
    override val accelerator: String,
    private val delegate: (Artifact) -> Delegate?,
) : Runtime {
    override val version: String get() = TensorFlowLite.runtimeVersion()
    override val target: String = "tflite"

    override fun open(artifact: Artifact, threads: Int): Session {
        checkTakes(artifact)
        try {
            return open(artifact, threads, delegate(artifact))
        } catch (error: IllegalArgumentException) {
            throw cannotLoad(artifact, error)
        } catch (error: IllegalStateException) {
            throw cannotLoad(artifact, error)
        }
    }

    /** Closes what it has opened if something goes wrong on the way. */
    private fun open(artifact: Artifact, threads: Int, delegate: Delegate?): Session {
        val opened = listOfNotNull(delegate).toMutableList<AutoCloseable>()
        var session: Session? = null
        try {
            val options = Interpreter.Options().setUseXNNPACK(true)
            if (threads > 0) options.setNumThreads(threads)
            delegate?.let(options::addDelegate)
            val interpreter = Interpreter(artifact.file, options)
            opened.add(0, interpreter) // uses the delegate until it is closed
            session = LiteRtSession(interpreter, artifact, opened)
            return session
        } finally {
            if (session == null) opened.forEach(AutoCloseable::close)
        }
    }

    private fun cannotLoad(artifact: Artifact, error: Exception): UserError {
        val said = "LiteRT cannot load ${artifact.file.name} with $accelerator: ${error.firstLine()}"
        return UserError(if (name == LiteRt.name) said else "$said; the runtime ${LiteRt.name} needs none", error)
    }
}

/** Memory of inputs and outputs is taken once. Closes [owned], in order. */
private class LiteRtSession(
    private val interpreter: Interpreter,
    private val artifact: Artifact,
    private val owned: List<AutoCloseable>,
) : Session {
    private val signature = interpreter.signatureKeys.singleOrNull()
        ?: throw UserError("${artifact.file.name} has no signature that names its outputs; export it again")
    private val input = artifact.manifest.inputs.single()
    private val pixels = direct(input.shape)
    private val inputs: Map<String, Any>
    private val outputs: Map<String, Output>
    private val buffers: Map<String, Any>

    private class Output(val shape: List<Int>, val type: DataType, val bytes: ByteBuffer)

    init {
        val declared = artifact.manifest.outputs.map { it.name }.toSet()
        val names = interpreter.getSignatureOutputs(signature).toSet()
        val image = interpreter.getSignatureInputs(signature).singleOrNull()
        if (names != declared || image == null) {
            throw UserError(
                "${artifact.file.name} has outputs $names, its manifest $declared; export it again",
            )
        }
        val tensor = interpreter.getInputTensorFromSignature(image, signature)
        if (tensor.dataType() != DataType.FLOAT32 || tensor.shape().toList() != input.shape) {
            throw UserError(
                "${artifact.file.name} takes ${tensor.dataType()} ${tensor.shape().toList()}, its manifest says " +
                    "float32 ${input.shape}; export it again",
            )
        }
        inputs = mapOf(image to pixels)
        outputs = names.associateWith { output(it) }
        buffers = outputs.mapValues { it.value.bytes }
    }

    private fun output(name: String): Output {
        val tensor = interpreter.getOutputTensorFromSignature(name, signature)
        val type = tensor.dataType()
        if (type != DataType.FLOAT32 && type != DataType.INT32) {
            throw UserError("output $name of ${artifact.file.name} is $type; float32 or int32 is expected")
        }
        val shape = tensor.shape().toList()
        return Output(shape, type, direct(shape))
    }

    override fun run(image: Tensor): Map<String, Tensor> {
        if (input.layout == "NHWC") putNhwc(image, pixels.asFloatBuffer()) else pixels.asFloatBuffer().put(image.values)
        outputs.values.forEach { rewind(it.bytes) }
        try {
            interpreter.runSignature(inputs, buffers, signature)
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
            val whole = output.bytes.asIntBuffer()
            for (i in values.indices) values[i] = whole.get(i).toFloat()
        }
        return Tensor(output.shape, values)
    }

    override fun close() = owned.forEach(AutoCloseable::close)
}

/** As a [Buffer], for before Android 10 the subclasses have no `rewind` of their own. */
private fun rewind(buffer: Buffer) {
    buffer.rewind()
}

/** Memory for four-byte values of a shape. */
private fun direct(shape: List<Int>): ByteBuffer =
    ByteBuffer.allocateDirect(Float.SIZE_BYTES * shape.fold(1, Int::times)).order(ByteOrder.nativeOrder())

/** Writes an image (1, 3, H, W) as (1, H, W, 3). */
internal fun putNhwc(image: Tensor, into: FloatBuffer) {
    val channels = image.shape[1]
    val area = image.shape[2] * image.shape[3]
    for (pixel in 0 until area) {
        for (c in 0 until channels) into.put(image.values[c * area + pixel])
    }
}
