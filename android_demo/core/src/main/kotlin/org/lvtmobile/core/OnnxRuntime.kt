package org.lvtmobile.core

import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtLoggingLevel
import ai.onnxruntime.OrtSession
import ai.onnxruntime.providers.NNAPIFlags
import java.util.EnumSet

/** ONNX Runtime on the CPU. The desktop and Android libraries have the same classes. */
object OnnxRuntime : Runtime by OnnxBackend("onnxruntime", "cpu", null, { threads -> setIntraOpNumThreads(threads) })

/** ONNX Runtime with XNNPACK. Operators that XNNPACK does not support run on the default CPU kernels. */
object OnnxRuntimeXnnpack : Runtime by OnnxBackend("onnxruntime-xnnpack", "xnnpack", KernelProvider("XnnpackExecutionProvider"), { threads ->
    // XNNPACK has its own thread pool. Two pools would compete for the same cores.
    addXnnpack(if (threads > 0) mapOf("intra_op_num_threads" to "$threads") else emptyMap())
    setIntraOpNumThreads(1)
})

/** ONNX Runtime with WebGPU, on Vulkan. Operators that it does not support run on the CPU kernels. */
object OnnxRuntimeWebGpu : Runtime by OnnxBackend("onnxruntime-webgpu", "gpu", KernelProvider("WebGpuExecutionProvider"), { threads ->
    addWebGPU(emptyMap())
    setIntraOpNumThreads(threads)
})

/**
 * ONNX Runtime with Android's NNAPI. Operators that NNAPI does not support run on the CPU kernels. The
 * slow CPU reference implementation of NNAPI is disabled. NNAPI is deprecated since Android 15.
 */
object OnnxRuntimeNnapi : Runtime by OnnxBackend("onnxruntime-nnapi", "nnapi", NnapiProvider, { threads ->
    addNnapi(EnumSet.of(NNAPIFlags.CPU_DISABLED))
    setIntraOpNumThreads(threads)
})

/**
 * @param provider how a profile tells the operators of the accelerator; null for the CPU.
 * @param configure sets the execution provider and the number of threads in the session options.
 */
private class OnnxBackend(
    override val name: String,
    override val accelerator: String,
    private val provider: ProfiledProvider?,
    private val configure: OrtSession.SessionOptions.(Int) -> Unit,
) : Runtime {
    override val version: String get() = ortEnvironment.version
    override val target: String = "onnx"
    override val placementNote: String =
        if (provider == null) "all operators run on the CPU" else "not told: the model cannot be profiled"

    override fun open(artifact: Artifact, threads: Int): Session {
        requireTarget(artifact)
        val session = withOptions(artifact, threads, configure) { openGraphs(artifact, artifact.file, it) }
        if (provider == null) return session
        return object : Session by session {
            /** A profile that cannot be made must not cost a model that runs. */
            override val placement: Placement? by lazy {
                try {
                    withOptions(artifact, threads, configure) { options ->
                        provider.placement(artifact, options) { action ->
                            withOptions(artifact, threads, { setIntraOpNumThreads(it) }, action)
                        }
                    }
                } catch (_: UserError) {
                    null
                }
            }
        }
    }

    private inline fun <T> withOptions(
        artifact: Artifact,
        threads: Int,
        setProvider: OrtSession.SessionOptions.(Int) -> Unit,
        action: (OrtSession.SessionOptions) -> T,
    ): T {
        try {
            OrtSession.SessionOptions().use { options ->
                options.setProvider(threads)
                options.setInterOpNumThreads(1)
                options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR)
                // Threads that keep spinning after a run would slow down postprocessing and the app.
                options.addConfigEntry("session.force_spinning_stop", "1")
                // As in Python: a memory pattern increases the memory by half and does not reduce the latency.
                options.setMemoryPatternOptimization(false)
                return action(options)
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
