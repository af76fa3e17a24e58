package org.lvtmobile.core

import ai.onnxruntime.OrtEpDevice
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtLoggingLevel
import ai.onnxruntime.OrtSession
import java.io.File

private const val HELP = "docs/android.md tells how to add them"

/** The whole model's file in the folder of a chip. */
private const val MAIN_GRAPH = "main.onnx"

/**
 * ONNX Runtime with Qualcomm's QNN provider: runs what was compiled for the NPU of this phone's chip, and
 * nothing on the CPU.
 *
 * @param soc the chip of this phone, as Android's `Build.SOC_MODEL` tells it; empty if Android does not.
 * @param libraries folder for Qualcomm's libraries. They are not part of this project.
 */
class OnnxRuntimeQnn(private val soc: String, private val libraries: File) : Runtime {
    override val name: String = "onnxruntime-qnn"
    override val accelerator: String = "qnn"
    override val version: String get() = ortEnvironment.version
    override val target: String = "qnn"
    override val placementNote: String = "all operators run on the NPU"

    /** See [Runtime.open]; the NPU has its own threads, so [threads] has no effect. */
    override fun open(artifact: Artifact, threads: Int): Session {
        requireTarget(artifact)
        val folder = File(artifact.file, artifact.chip(soc).soc)
        val devices = QnnProvider.devices(libraries)
        try {
            OrtSession.SessionOptions().use { options ->
                options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR)
                options.addConfigEntry("session.disable_cpu_ep_fallback", "1")
                val inParts = artifact.manifest.parts != null
                // The graphs of the entry points are in one context file, which must load only once.
                if (inParts) options.addConfigEntry("ep.share_ep_contexts", "1")
                options.addExecutionProvider(devices, QnnProvider.options(libraries))
                return openGraphs(artifact, if (inParts) folder else File(folder, MAIN_GRAPH), options)
            }
        } catch (error: OrtException) {
            val message = "ONNX Runtime cannot load ${artifact.file.name} with $accelerator: ${error.firstLine()}"
            throw UserError(message, error)
        }
    }
}

/** Qualcomm's plug-in for ONNX Runtime. It can be registered only once in a process. */
private object QnnProvider {
    private const val NAME = "QNNExecutionProvider"
    private const val LIBRARY = "libonnxruntime_providers_qnn.so"
    private const val BACKEND = "libQnnHtp.so"
    private var registered = false

    /**
     * The device for a session.
     *
     * @throws UserError the libraries are missing, do not load, or find no NPU.
     */
    @Synchronized
    fun devices(libraries: File): List<OrtEpDevice> {
        for (name in listOf(LIBRARY, BACKEND)) {
            if (!File(libraries, name).isFile) {
                throw UserError("Qualcomm's libraries are not in this app: $name is missing; $HELP")
            }
        }
        try {
            if (!registered) ortEnvironment.registerExecutionProviderLibrary(NAME, File(libraries, LIBRARY).path)
            registered = true
            // As in Python: one device, because the path of the backend selects the NPU.
            return ortEnvironment.epDevices.filter { it.epName == NAME }.take(1).ifEmpty {
                throw UserError("Qualcomm's libraries find no NPU on this phone; $HELP")
            }
        } catch (error: OrtException) {
            throw UserError("Qualcomm's libraries do not load: ${error.firstLine()}; $HELP", error)
        }
    }

    fun options(libraries: File): Map<String, String> = mapOf(
        "backend_path" to File(libraries, BACKEND).path,
        // For a camera or a benchmark. By default the NPU's clock is low.
        "htp_performance_mode" to "sustained_high_performance",
    )
}
