package org.lvtmobile.core

import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import java.io.File

private const val REPLY = "reply"
private const val DEFAULT_REPLY = "bench.json"
private val NUMBERS = setOf("schema", "threads", "warmup", "runs")
private val PLAIN_NAME = Regex("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

/**
 * The benchmark request that an intent's extras mean.
 *
 * Numbers may come as `--ei`, `--ef` or `--es`. Nothing is judged here: an unknown extra or a bad value goes
 * into the request, and the core's reply says what is wrong with it.
 *
 * @param models folders in which an artifact that is named without a path is looked for.
 */
fun benchRequest(extras: Map<String, Any?>, models: List<File>): String = buildJsonObject {
    if ("schema" !in extras) put("schema", BENCH_SCHEMA)
    for ((key, value) in extras - REPLY) {
        val number = value.toString().toLongOrNull()
        val fraction = value.toString().toDoubleOrNull()?.takeIf(Double::isFinite)
        when {
            key == "artifact" -> put(key, locate(value.toString(), models).path)
            key in NUMBERS && number != null -> put(key, number)
            key == "seconds" && fraction != null -> put(key, fraction)
            else -> put(key, JsonPrimitive(value?.toString()))
        }
    }
}.toString()

private fun locate(artifact: String, models: List<File>): File =
    if ('/' in artifact) File(artifact) else models.map { File(it, artifact) }.find { it.isFile } ?: File(artifact)

/**
 * The file's name that a reply is written to: the extra `reply`, where it is a plain name, so that
 * nothing outside the app's folder for replies can be written.
 */
fun replyName(extras: Map<String, Any?>): String =
    extras[REPLY]?.toString()?.takeIf(PLAIN_NAME::matches) ?: DEFAULT_REPLY
