package org.lvtmobile.core

import java.io.File
import java.security.MessageDigest

private const val BUFFER_SIZE = 1 shl 16

/** SHA-256 of bytes, in hexadecimal. */
internal fun sha256(bytes: ByteArray): String =
    hex(MessageDigest.getInstance("SHA-256").digest(bytes))

/** SHA-256 of a file, in hexadecimal. */
internal fun sha256(file: File): String {
    val digest = MessageDigest.getInstance("SHA-256")
    file.inputStream().use { stream ->
        val buffer = ByteArray(BUFFER_SIZE)
        generateSequence { stream.read(buffer) }
            .takeWhile { it >= 0 }
            .forEach { digest.update(buffer, 0, it) }
    }
    return hex(digest.digest())
}

/**
 * SHA-256 of a model file, in hexadecimal, as in Python.
 *
 * For a folder: SHA-256 of the lines `digest  relative/name` of its files, sorted by name, without the
 * .DS_Store files that macOS adds.
 */
internal fun contentSha256(model: File): String {
    if (!model.isDirectory) return sha256(model)
    val files = model.walkTopDown().filter { it.isFile && it.name != ".DS_Store" }
        .associateBy { it.relativeTo(model).invariantSeparatorsPath }
    return sha256(files.toSortedMap().map { (name, file) -> "${sha256(file)}  $name\n" }.joinToString("").toByteArray())
}

private fun hex(digest: ByteArray): String = digest.joinToString("") { "%02x".format(it) }
