package org.lvtmobile.core

import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession
import java.io.File

/** ONNX Runtime; its native library loads with the first use. */
internal val ortEnvironment: OrtEnvironment by lazy { OrtEnvironment.getEnvironment() }

/**
 * Opens the ONNX files of an artifact.
 *
 * @param path the file; for a model in parts, the folder with a file for each entry point.
 * @throws UserError a file is missing, or its inputs or outputs differ from the manifest.
 * @throws OrtException ONNX Runtime cannot load a file.
 */
internal fun openGraphs(artifact: Artifact, path: File, options: OrtSession.SessionOptions): Session {
    val manifest = artifact.manifest
    val parts = manifest.parts
    if (parts != null) return openEntryPoints(artifact, path, parts, options).session(parts)
    val function = openGraph(artifact, path, manifest.inputs, manifest.outputs, options)
    return OnnxSession(function, manifest.inputs.single().name)
}

/** Opens the file of each entry point. One file after the other runs, so each has all threads. */
private fun openEntryPoints(
    artifact: Artifact,
    folder: File,
    parts: PartsInfo,
    options: OrtSession.SessionOptions,
): EntryPoints {
    val functions = LinkedHashMap<String, OnnxFunction>()
    try {
        for (entry in parts.entryPoints) {
            val file = entryPointFile(folder, entry.name)
            functions[entry.name] = openGraph(artifact, file, entry.inputs, entry.outputs, options)
        }
        return OnnxEntryPoints(functions)
    } finally {
        if (functions.size < parts.entryPoints.size) functions.values.forEach(OnnxFunction::close)
    }
}

private fun entryPointFile(folder: File, name: String) = File(folder, "$name.onnx")

/** An ONNX file of an artifact, with the declared inputs and outputs. */
internal class OnnxGraph(
    val file: File,
    val inputs: List<Manifest.TensorInfo>,
    val outputs: List<Manifest.TensorInfo>,
)

/** The ONNX files of an artifact at [path], as in [openGraphs]. */
internal fun graphs(artifact: Artifact, path: File): List<OnnxGraph> {
    val manifest = artifact.manifest
    val parts = manifest.parts ?: return listOf(OnnxGraph(path, manifest.inputs, manifest.outputs))
    return parts.entryPoints.map { OnnxGraph(entryPointFile(path, it.name), it.inputs, it.outputs) }
}

internal fun openGraph(
    artifact: Artifact,
    file: File,
    inputs: List<Manifest.TensorInfo>,
    outputs: List<Manifest.TensorInfo>,
    options: OrtSession.SessionOptions,
): OnnxFunction {
    val name = "${artifact.file.name}/${file.relativeTo(artifact.file).invariantSeparatorsPath}".removeSuffix("/")
    if (!file.isFile) throw UserError("$name is missing; export the artifact again")
    return OnnxFunction.open(ortEnvironment, ortEnvironment.createSession(file.path, options), name, inputs, outputs)
}

/** A file with the whole model. */
private class OnnxSession(private val function: OnnxFunction, private val input: String) :
    Session,
    AutoCloseable by function {
    override fun run(image: Tensor): Map<String, Tensor> = function.call(mapOf(input to image))
}

/** A folder with a file for each entry point. */
private class OnnxEntryPoints(private val functions: Map<String, OnnxFunction>) : EntryPoints {
    override fun call(name: String, inputs: Map<String, Tensor>): Map<String, Tensor> =
        functions.getValue(name).call(inputs)

    override fun close() = functions.values.forEach(OnnxFunction::close)
}
