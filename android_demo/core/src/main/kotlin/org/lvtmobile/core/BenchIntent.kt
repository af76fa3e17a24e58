package org.lvtmobile.core

import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import java.io.File

private const val REPLY = "reply"
private const val DEFAULT_REPLY = "bench.json"
private val INTEGER_KEYS = setOf("schema", "threads", "warmup", "runs")
private val PLAIN_FILE_NAME = Regex("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

/**
 * Converts intent extras to a benchmark request in JSON.
 *
 * Numbers may be given as `--ei`, `--ef` or `--es`. This function does not validate: unknown extras and
 * invalid values are copied to the request, and [Benchmark.run] reports them in its reply.
 *
 * @param modelFolders folders to search for an artifact that is given without a path.
 */
fun benchRequestJson(extras: Map<String, Any?>, modelFolders: List<File>): String = buildJsonObject {
    if ("schema" !in extras) put("schema", BENCH_SCHEMA)
    for ((key, value) in extras - REPLY) {
        val integer = value.toString().toLongOrNull()
        val fraction = value.toString().toDoubleOrNull()?.takeIf(Double::isFinite)
        when {
            key == "artifact" -> put(key, findArtifact(value.toString(), modelFolders).path)
            key in INTEGER_KEYS && integer != null -> put(key, integer)
            key == "seconds" && fraction != null -> put(key, fraction)
            else -> put(key, JsonPrimitive(value?.toString()))
        }
    }
}.toString()

private fun findArtifact(name: String, folders: List<File>): File =
    if ('/' in name) File(name) else folders.map { File(it, name) }.find { it.exists() } ?: File(name)

/**
 * Name of the reply file: the extra `reply` if it is a plain file name, else a default name. A caller
 * cannot write outside the app's reply folder.
 */
fun replyFileName(extras: Map<String, Any?>): String =
    extras[REPLY]?.toString()?.takeIf(PLAIN_FILE_NAME::matches) ?: DEFAULT_REPLY
