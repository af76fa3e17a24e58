package org.lvtmobile.core

import ai.onnxruntime.OrtSession
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import java.io.File
import java.io.IOException

private const val KERNEL_SUFFIX = "_kernel_time"

/**
 * Runs each graph of an artifact once under ONNX Runtime's profiler, which names the provider of each kernel.
 *
 * @param options of the sessions; profiling is switched on here.
 * @param provider name of the execution provider whose kernels count.
 * @throws UserError a graph cannot run, or the profile cannot be written.
 */
internal fun profiledPlacement(
    artifact: Artifact,
    path: File,
    options: OrtSession.SessionOptions,
    provider: String,
): Placement {
    var placement = Placement(0, 0)
    for (graph in graphs(artifact, path)) {
        try {
            val counted = placementOf(profile(artifact, graph, options), provider)
            placement = Placement(placement.accelerated + counted.accelerated, placement.total + counted.total)
        } catch (error: IOException) {
            throw UserError("cannot profile ${artifact.file.name}: ${error.firstLine()}", error)
        }
    }
    return placement
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

/** Counts the kernels of a profile: all, and those of a provider. */
internal fun placementOf(profile: String, provider: String): Placement {
    val kernels = Json.parseToJsonElement(profile).jsonArray.map { it.jsonObject }
        .filter { it["cat"]?.jsonPrimitive?.content == "Node" }
        .filter { it["name"]?.jsonPrimitive?.content?.endsWith(KERNEL_SUFFIX) == true }
    val accelerated = kernels.count { it["args"]?.jsonObject?.get("provider")?.jsonPrimitive?.content == provider }
    return Placement(accelerated, kernels.size)
}
