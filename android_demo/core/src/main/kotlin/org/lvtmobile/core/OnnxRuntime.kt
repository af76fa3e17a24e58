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

/** ONNX Runtime on the CPU. Its classes are the same on a desktop and on Android. */
object OnnxRuntime : Runtime by OnnxBackend("onnxruntime", "cpu", { threads -> setIntraOpNumThreads(threads) })

/** ONNX Runtime with XNNPACK for the operators that this takes, the CPU's own kernels for the rest. */
object OnnxRuntimeXnnpack : Runtime by OnnxBackend("onnxruntime-xnnpack", "xnnpack", { threads ->
    // XNNPACK has threads of its own; two pools would fight for the same cores.
    addXnnpack(if (threads > 0) mapOf("intra_op_num_threads" to "$threads") else emptyMap())
    setIntraOpNumThreads(1)
})

/**
 * ONNX Runtime with Android's NNAPI for the operators that this takes, the CPU for the rest. NNAPI's
 * own slow reference for the CPU is ruled out. Android has deprecated NNAPI since version 15.
 */
object OnnxRuntimeNnapi : Runtime by OnnxBackend("onnxruntime-nnapi", "nnapi", { threads ->
    addNnapi(EnumSet.of(NNAPIFlags.CPU_DISABLED))
    setIntraOpNumThreads(threads)
})

private val environment: OrtEnvironment by lazy { OrtEnvironment.getEnvironment() }

/** @param configure chooses where operators run, with the number of threads asked for. */
private class OnnxBackend(
    override val name: String,
    override val accelerator: String,
    private val configure: OrtSession.SessionOptions.(Int) -> Unit,
) : Runtime {
    override val version: String get() = environment.version
    override val target: String = "onnx"

    override fun open(artifact: Artifact, threads: Int): Session {
        checkTakes(artifact)
        try {
            OrtSession.SessionOptions().use { options ->
                options.configure(threads)
                options.setInterOpNumThreads(1)
                options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR)
                // Threads that go on spinning after a run would slow whatever comes after it.
                options.addConfigEntry("session.force_spinning_stop", "1")
                // As in Python: planned ahead, these models hold half as much memory again and are no faster.
                options.setMemoryPatternOptimization(false)
                return OnnxSession(environment, environment.createSession(artifact.file.path, options), artifact)
            }
        } catch (error: OrtException) {
            throw cannotLoad(artifact, error)
        }
    }

    private fun cannotLoad(artifact: Artifact, error: OrtException): UserError {
        val said = "ONNX Runtime cannot load ${artifact.file.name} with $accelerator: ${error.firstLine()}"
        return UserError(if (name == OnnxRuntime.name) said else "$said; the runtime ${OnnxRuntime.name} needs none", error)
    }
}

/** Owns [session]. The input's memory is taken once and used for every inference. */
private class OnnxSession(
    environment: OrtEnvironment,
    private val session: OrtSession,
    private val artifact: Artifact,
) : Session {
    private val shape = artifact.manifest.inputs.single().shape
    private val pixels: FloatBuffer = ByteBuffer
        .allocateDirect(Float.SIZE_BYTES * shape.fold(1, Int::times))
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer()
    private val inputs = mapOf(
        artifact.manifest.inputs.single().name to
            OnnxTensor.createTensor(environment, pixels, LongArray(shape.size) { shape[it].toLong() }),
    )

    init {
        val declared = artifact.manifest.outputs.map { it.name }.toSet()
        if (session.inputNames != inputs.keys || session.outputNames != declared) {
            close()
            throw UserError(
                "${artifact.file.name} has inputs ${session.inputNames} and outputs ${session.outputNames}, " +
                    "its manifest ${inputs.keys} and $declared; export it again",
            )
        }
    }

    override fun run(image: Tensor): Map<String, Tensor> {
        require(image.shape == shape) { "an image of ${image.shape} for a network of $shape" }
        pixels.duplicate().put(image.values)
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
                "output $name of ${artifact.file.name} is ${value.info.type}; float32 or int32 is expected",
            )
        }
        return Tensor(shape, values)
    }

    override fun close() {
        inputs.values.forEach(OnnxTensor::close)
        session.close()
    }
}
