package org.lvtmobile.core

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtLoggingLevel
import ai.onnxruntime.OrtSession
import ai.onnxruntime.providers.NNAPIFlags
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import java.util.EnumSet

/** ONNX Runtime on the CPU. The desktop and Android libraries have the same classes. */
object OnnxRuntime : Runtime by OnnxBackend("onnxruntime", "cpu", { threads -> setIntraOpNumThreads(threads) })

/** ONNX Runtime with XNNPACK. Operators that XNNPACK does not support run on the default CPU kernels. */
object OnnxRuntimeXnnpack : Runtime by OnnxBackend("onnxruntime-xnnpack", "xnnpack", { threads ->
    // XNNPACK has its own thread pool. Two pools would compete for the same cores.
    addXnnpack(if (threads > 0) mapOf("intra_op_num_threads" to "$threads") else emptyMap())
    setIntraOpNumThreads(1)
})

/**
 * ONNX Runtime with Android's NNAPI. Operators that NNAPI does not support run on the CPU kernels. The
 * slow CPU reference implementation of NNAPI is disabled. NNAPI is deprecated since Android 15.
 */
object OnnxRuntimeNnapi : Runtime by OnnxBackend("onnxruntime-nnapi", "nnapi", { threads ->
    addNnapi(EnumSet.of(NNAPIFlags.CPU_DISABLED))
    setIntraOpNumThreads(threads)
})

private val environment: OrtEnvironment by lazy { OrtEnvironment.getEnvironment() }

/** @param configure sets the execution provider and the number of threads in the session options. */
private class OnnxBackend(
    override val name: String,
    override val accelerator: String,
    private val configure: OrtSession.SessionOptions.(Int) -> Unit,
) : Runtime {
    override val version: String get() = environment.version
    override val target: String = "onnx"

    override fun open(artifact: Artifact, threads: Int): Session {
        requireTarget(artifact)
        try {
            OrtSession.SessionOptions().use { options ->
                options.configure(threads)
                options.setInterOpNumThreads(1)
                options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR)
                // Threads that keep spinning after a run would slow down postprocessing and the app.
                options.addConfigEntry("session.force_spinning_stop", "1")
                // As in Python: a memory pattern increases the memory by half and does not reduce the latency.
                options.setMemoryPatternOptimization(false)
                return OnnxSession(environment, environment.createSession(artifact.file.path, options), artifact)
            }
        } catch (error: OrtException) {
            throw cannotLoad(artifact, error)
        }
    }

    private fun cannotLoad(artifact: Artifact, error: OrtException): UserError {
        val message = "ONNX Runtime cannot load ${artifact.file.name} with $accelerator: ${error.firstLine()}"
        val hint = if (name == OnnxRuntime.name) "" else "; the runtime ${OnnxRuntime.name} needs no accelerator"
        return UserError(message + hint, error)
    }
}

/** Owns [session]. Allocates the input buffer once and reuses it for each inference. */
private class OnnxSession(
    environment: OrtEnvironment,
    private val session: OrtSession,
    private val artifact: Artifact,
) : Session {
    private val shape = artifact.manifest.inputs.single().shape
    private val inputBuffer: FloatBuffer = ByteBuffer
        .allocateDirect(Float.SIZE_BYTES * shape.fold(1, Int::times))
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer()
    private val inputs = mapOf(
        artifact.manifest.inputs.single().name to
            OnnxTensor.createTensor(environment, inputBuffer, LongArray(shape.size) { shape[it].toLong() }),
    )

    init {
        val declared = artifact.manifest.outputs.map { it.name }.toSet()
        if (session.inputNames != inputs.keys || session.outputNames != declared) {
            close()
            throw UserError(
                "${artifact.file.name} has inputs ${session.inputNames} and outputs ${session.outputNames}, " +
                    "but its manifest declares ${inputs.keys} and $declared; export it again",
            )
        }
    }

    override fun run(image: Tensor): Map<String, Tensor> {
        require(image.shape == shape) { "the image has shape ${image.shape}, but the network expects $shape" }
        inputBuffer.duplicate().put(image.values)
        try {
            return session.run(inputs).use { result ->
                result.associate { (name, value) -> name to read(name, value as OnnxTensor) }
            }
        } catch (error: OrtException) {
            throw UserError("ONNX Runtime cannot run ${artifact.file.name}: ${error.firstLine()}", error)
        }
    }

    private fun read(name: String, value: OnnxTensor): Tensor {
        val shape = value.info.shape.map { it.toInt() }
        val values = FloatArray(shape.fold(1, Int::times))
        when (value.info.type) {
            OnnxJavaType.FLOAT -> value.floatBuffer.get(values)
            OnnxJavaType.INT32 -> value.intBuffer.let { for (i in values.indices) values[i] = it.get(i).toFloat() }
            else -> throw UserError(
                "output $name of ${artifact.file.name} has type ${value.info.type}; float32 or int32 is expected",
            )
        }
        return Tensor(shape, values)
    }

    override fun close() {
        inputs.values.forEach(OnnxTensor::close)
        session.close()
    }
}
