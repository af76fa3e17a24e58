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

private fun hex(digest: ByteArray): String = digest.joinToString("") { "%02x".format(it) }
