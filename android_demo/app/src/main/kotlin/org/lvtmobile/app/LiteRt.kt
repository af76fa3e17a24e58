package org.lvtmobile.app

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Session
import org.lvtmobile.core.UserError
import org.lvtmobile.core.firstLine
import org.lvtmobile.core.requireTarget
import org.lvtmobile.core.session
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.TensorFlowLite
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.gpu.GpuDelegateFactory
import org.tensorflow.lite.nnapi.NnApiDelegate

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
    override val placementNote: String = "not told: LiteRT has no function for it"

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
            session = openSession(interpreter, artifact, resources)
            return session
        } finally {
            if (session == null) resources.forEach(AutoCloseable::close)
        }
    }

    /** @param resources what the session closes, in order. */
    private fun openSession(interpreter: Interpreter, artifact: Artifact, resources: List<AutoCloseable>): Session {
        val manifest = artifact.manifest
        val parts = manifest.parts
        if (parts != null) return LiteRtEntryPoints(interpreter, artifact, parts, resources).session(parts)
        val signature = interpreter.signatureKeys.singleOrNull()
            ?: throw UserError("${artifact.file.name} has no signature with output names; export it again")
        val function = LiteRtFunction(interpreter, signature, artifact.file.name, manifest.inputs, manifest.outputs)
        return LiteRtSession(function, manifest.inputs.single().name, resources)
    }

    private fun cannotLoad(artifact: Artifact, error: Exception): UserError {
        val message = "LiteRT cannot load ${artifact.file.name} with $accelerator: ${error.firstLine()}"
        val hint = if (name == LiteRt.name) "" else "; the runtime ${LiteRt.name} needs no accelerator"
        return UserError(message + hint, error)
    }
}
