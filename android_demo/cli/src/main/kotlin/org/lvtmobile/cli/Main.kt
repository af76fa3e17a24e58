package org.lvtmobile.cli

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.BenchFailure
import org.lvtmobile.core.Benchmark
import org.lvtmobile.core.Model
import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.ReplyFile
import org.lvtmobile.core.UserError
import org.lvtmobile.core.benchRequest
import org.lvtmobile.core.replyName
import java.io.File
import java.io.IOException
import kotlin.system.exitProcess

private const val MISUSED = 2

private val USAGE = """
    lvt-core run ARTIFACT OUT_DIR IMAGE...
        What the model says of each picture: a line of JSON, and for segmentation OUT_DIR/IMAGE.png,
        whose colours are ids (red + 256 green + 65536 blue; void is 0 in panoptic maps).
    lvt-core bench REQUEST.json
        Times an artifact; - reads the request from standard input. The result is a line of JSON.
    lvt-core activity FILES [--es|--ei|--ef NAME VALUE]...
        Does what the app's benchmark activity does with these extras of `am start`. FILES stands for
        the app's folder: models are in FILES/models, the reply and its progress in FILES/bench.
""".trimIndent()

/** The Android app's core on a desktop. Results go to standard output, everything else to standard error. */
fun main(arguments: Array<String>) {
    switchTelemetryOff()
    val command = arguments.firstOrNull()
    val rest = arguments.drop(1)
    val done = try {
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
    exitProcess(if (done) 0 else MISUSED)
}

private fun run(artifact: File, folder: File, images: List<File>): Boolean {
    val opened = Artifact.open(artifact)
    if (!folder.isDirectory && !folder.mkdirs()) throw UserError("cannot make the folder $folder")
    Model(opened, OnnxRuntime.open(opened, threads = 0)).use { model ->
        for (image in images) {
            val answer = model.answer(readImage(image))
            val map = File(folder, "${image.nameWithoutExtension}.png").takeIf { writeIds(answer, it) }
            println(describe(answer, opened.manifest, image, map))
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
    val reply = Benchmark(listOf(OnnxRuntime), device()).reply(request)
    println(reply.toJson())
    return reply !is BenchFailure
}

private fun activity(files: File, words: List<String>): Boolean {
    val extras = words.chunked(3).associate { (kind, name, value) ->
        if (kind !in setOf("--es", "--ei", "--ef")) throw UserError("unknown kind of extra $kind; usage:\n$USAGE")
        name to value
    }
    val models = File(files, "models")
    val replies = File(files, "bench")
    for (folder in listOf(models, replies)) {
        if (!folder.isDirectory && !folder.mkdirs()) throw UserError("cannot make the folder $folder")
    }
    val file = ReplyFile(replies, replyName(extras))
    val reply = Benchmark(listOf(OnnxRuntime), device()).reply(benchRequest(extras, listOf(models)), file::progress)
    try {
        file.write(reply)
    } catch (error: IOException) {
        throw UserError("cannot write the reply: ${error.message}", error)
    }
    return reply !is BenchFailure
}

private fun device(): Map<String, String> = mapOf(
    "system" to "${System.getProperty("os.name")} ${System.getProperty("os.version")}",
    "architecture" to System.getProperty("os.arch"),
    "cores" to Runtime.getRuntime().availableProcessors().toString(),
    "java" to System.getProperty("java.version"),
)
