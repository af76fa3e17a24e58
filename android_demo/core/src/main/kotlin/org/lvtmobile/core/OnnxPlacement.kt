package org.lvtmobile.core

import ai.onnxruntime.OrtSession
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import java.io.File
import java.io.IOException

private const val KERNEL_SUFFIX = "_kernel_time"
private const val CPU = "CPUExecutionProvider"

/** How the profile of a run tells which operators an execution provider runs. */
internal interface ProfiledProvider {
    /**
     * Counts operators.
     *
     * @param options of a session with the provider.
     * @param withCpu calls its argument with the options of a session without it.
     * @throws UserError a graph cannot run, or the profile cannot be written.
     */
    fun placement(
        artifact: Artifact,
        options: OrtSession.SessionOptions,
        withCpu: ((OrtSession.SessionOptions) -> Placement) -> Placement,
    ): Placement
}

/** A provider with a kernel for each operator. */
internal class KernelProvider(private val provider: String) : ProfiledProvider {
    override fun placement(
        artifact: Artifact,
        options: OrtSession.SessionOptions,
        withCpu: ((OrtSession.SessionOptions) -> Placement) -> Placement,
    ): Placement = profiles(artifact, options).map { placementOf(it, provider) }.reduce(Placement::plus)
}

/**
 * NNAPI, which makes one kernel of many operators: its operators are those that the CPU runs in a session without it,
 * and not in one with it. Without the optimizations that fuse operators for the CPU, both sessions have the same ones.
 */
internal object NnapiProvider : ProfiledProvider {
    override fun placement(
        artifact: Artifact,
        options: OrtSession.SessionOptions,
        withCpu: ((OrtSession.SessionOptions) -> Placement) -> Placement,
    ): Placement = withCpu { cpuOptions ->
        for (each in listOf(options, cpuOptions)) each.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.BASIC_OPT)
        val before = profiles(artifact, cpuOptions)
        val after = profiles(artifact, options)
        before.zip(after, ::fusedPlacement).reduce(Placement::plus)
    }
}

/** The profile of each graph of an artifact. */
internal fun profiles(artifact: Artifact, options: OrtSession.SessionOptions): List<List<ProfiledKernel>> =
    graphs(artifact, artifact.file).map { graph ->
        try {
            kernels(profile(artifact, graph, options))
        } catch (error: IOException) {
            throw UserError("cannot profile ${artifact.file.name}: ${error.firstLine()}", error)
        }
    }

/** The profile of one run on zeros. */
private fun profile(artifact: Artifact, graph: OnnxGraph, options: OrtSession.SessionOptions): String {
    val prefix = File.createTempFile("lvt-profile", "")
    try {
        options.enableProfiling(prefix.path)
        return openGraph(artifact, graph.file, graph.inputs, graph.outputs, options).use { function ->
            function.call(zeros(graph.inputs))
            function.endProfiling().readText()
        }
    } finally { // also what a failed run has left
        prefix.parentFile?.listFiles { file -> file.name.startsWith(prefix.name) }?.forEach(File::delete)
    }
}

/** A kernel that ran: the name of its operator, and its execution provider. */
internal data class ProfiledKernel(val operator: String, val provider: String?)

/** The kernels in the text of a profile, in order. */
internal fun kernels(profile: String): List<ProfiledKernel> = Json.parseToJsonElement(profile).jsonArray.map { it.jsonObject }
    .filter { it["cat"]?.jsonPrimitive?.content == "Node" }
    .mapNotNull { event ->
        val name = event["name"]?.jsonPrimitive?.content.orEmpty()
        val provider = event["args"]?.jsonObject?.get("provider")?.jsonPrimitive?.content
        if (name.endsWith(KERNEL_SUFFIX)) ProfiledKernel(name.removeSuffix(KERNEL_SUFFIX), provider) else null
    }

/** Counts kernels: all, and those of a provider. */
internal fun placementOf(kernels: List<ProfiledKernel>, provider: String) =
    Placement(kernels.count { it.provider == provider }, kernels.size)

/** Counts the operators of [before] that the CPU does not run in [after]. */
internal fun fusedPlacement(before: List<ProfiledKernel>, after: List<ProfiledKernel>): Placement {
    val onCpu = after.filter { it.provider == CPU }.mapTo(mutableSetOf()) { it.operator }
    val somethingElse = after.any { it.provider != CPU } // else an operator that is gone was optimized away
    return Placement(if (somethingElse) before.count { it.operator !in onCpu } else 0, before.size)
}
