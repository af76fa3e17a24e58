package org.lvtmobile.core

import java.io.File
import java.security.MessageDigest

private const val BLOCK = 1 shl 16

/** Hex digest of bytes. */
internal fun sha256(bytes: ByteArray): String =
    hex(MessageDigest.getInstance("SHA-256").digest(bytes))

/** Hex digest of a file's bytes. */
internal fun sha256(file: File): String {
    val digest = MessageDigest.getInstance("SHA-256")
    file.inputStream().use { stream ->
        val block = ByteArray(BLOCK)
        generateSequence { stream.read(block) }
            .takeWhile { it >= 0 }
            .forEach { digest.update(block, 0, it) }
    }
    return hex(digest.digest())
}

private fun hex(digest: ByteArray): String = digest.joinToString("") { "%02x".format(it) }
