package org.lvtmobile.cli

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.BenchFailure
import org.lvtmobile.core.BenchReplyFile
import org.lvtmobile.core.Benchmark
import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.Predictor
import org.lvtmobile.core.UserError
import org.lvtmobile.core.benchRequestJson
import org.lvtmobile.core.replyFileName
import java.io.File
import java.io.IOException
import kotlin.system.exitProcess

private const val EXIT_FAILURE = 2

private val USAGE = """
    lvt-core run ARTIFACT OUT_DIR IMAGE...
        Prints the prediction for each picture as one line of JSON. For segmentation, also writes
        OUT_DIR/IMAGE.png, whose colours are ids (red + 256 green + 65536 blue; void is 0 in panoptic maps).
        ARTIFACT is a file, or a folder with a model in parts, for which the line also tells the time of each stage.
    lvt-core bench REQUEST.json
        Measures the latency of an artifact and prints one line of JSON. - reads the request from
        standard input.
    lvt-core activity FILES [--es|--ei|--ef NAME VALUE]...
        Runs the app's benchmark activity with these extras of `am start`. FILES replaces the app's
        folder: models are read from FILES/models, the reply and its progress are written to FILES/bench.
""".trimIndent()

/** Runs the core of the Android app on a desktop. Prints results to standard output, errors to standard error. */
fun main(arguments: Array<String>) {
    disableTelemetry()
    val command = arguments.firstOrNull()
    val rest = arguments.drop(1)
    val succeeded = try {
        when {
            command == "run" && rest.size >= 3 -> run(File(rest[0]), File(rest[1]), rest.drop(2).map(::File))
            command == "bench" && rest.size == 1 -> bench(rest[0])
            command == "activity" && rest.size % 3 == 1 -> activity(File(rest[0]), rest.drop(1))
            command == "--help" -> println(USAGE).let { true }
            else -> throw UserError("usage:\n$USAGE")
        }
    } catch (error: UserError) {
        System.err.println(error.message)
        false
    }
    exitProcess(if (succeeded) 0 else EXIT_FAILURE)
}

private fun run(model: File, folder: File, images: List<File>): Boolean {
    val artifact = Artifact.open(model)
    if (!folder.isDirectory && !folder.mkdirs()) throw UserError("cannot create the folder $folder")
    Predictor(artifact, OnnxRuntime.open(artifact, threads = 0)).use { predictor ->
        for (image in images) {
            val prediction = predictor.predict(readImage(image))
            val map = File(folder, "${image.nameWithoutExtension}.png").takeIf { writeIdMap(prediction, it) }
            println(predictionJson(prediction, artifact.manifest, image, map, predictor.stages))
        }
    }
    return true
}

private fun bench(source: String): Boolean {
    val request = try {
        if (source == "-") System.`in`.reader().readText() else File(source).readText()
    } catch (error: IOException) {
        throw UserError("cannot read the request $source: ${error.message}", error)
    }
    val reply = Benchmark(listOf(OnnxRuntime), deviceProperties()).run(request)
    println(reply.toJson())
    return reply !is BenchFailure
}

private fun activity(files: File, options: List<String>): Boolean {
    val extras = options.chunked(3).associate { (kind, name, value) ->
        if (kind !in setOf("--es", "--ei", "--ef")) throw UserError("unknown type of extra: $kind; usage:\n$USAGE")
        name to value
    }
    val modelFolder = File(files, "models")
    val replyFolder = File(files, "bench")
    for (folder in listOf(modelFolder, replyFolder)) {
        if (!folder.isDirectory && !folder.mkdirs()) throw UserError("cannot create the folder $folder")
    }
    val replyFile = BenchReplyFile(replyFolder, replyFileName(extras))
    val request = benchRequestJson(extras, listOf(modelFolder))
    val reply = Benchmark(listOf(OnnxRuntime), deviceProperties()).run(request, replyFile::writeProgress)
    try {
        replyFile.write(reply)
    } catch (error: IOException) {
        throw UserError("cannot write the reply: ${error.message}", error)
    }
    return reply !is BenchFailure
}

private fun deviceProperties(): Map<String, String> = mapOf(
    "system" to "${System.getProperty("os.name")} ${System.getProperty("os.version")}",
    "architecture" to System.getProperty("os.arch"),
    "cores" to Runtime.getRuntime().availableProcessors().toString(),
    "java" to System.getProperty("java.version"),
)
