package org.lvtmobile.app

import java.io.File
import java.io.FileOutputStream
import java.io.IOException

/**
 * Remembers which combinations of model and runtime did not start, also if the start ended the app: a driver of a GPU
 * or an NPU can crash, and the app must not run into the same crash whenever it starts.
 *
 * An attempt is on disk before it begins. If the next process finds it there, it has failed. Use it on one thread, not
 * the main thread.
 *
 * @param file where the state is kept, one line per combination; its folder must exist.
 */
class LaunchJournal(private val file: File) {
    private val failures = LinkedHashMap<String, String>() // the messages; empty for an unfinished attempt
    private val attempts = mutableSetOf<String>()

    init {
        val lines = try {
            file.readLines()
        } catch (_: IOException) {
            emptyList() // the first start
        }
        for (line in lines) failures[line.substringBefore(SEPARATOR)] = line.substringAfter(SEPARATOR, "")
    }

    /**
     * Why this combination did not start.
     *
     * @return null if it did not fail; empty if an attempt ended without an error, which means that the app ended.
     */
    fun failure(model: String, runtime: String): String? = failures[key(model, runtime)]

    /**
     * Begins an attempt. Until [succeed] or [fail], an end of the app counts as a failure.
     *
     * @throws IOException the attempt cannot be recorded.
     */
    fun begin(model: String, runtime: String) {
        attempts += key(model, runtime)
        write()
    }

    /** The attempt has computed its first result. Has no effect if none is open. */
    fun succeed(model: String, runtime: String) {
        if (attempts.remove(key(model, runtime))) write()
    }

    /** The attempt has ended with an error. Returns false if none is open. */
    fun fail(model: String, runtime: String, message: String): Boolean {
        val key = key(model, runtime)
        if (!attempts.remove(key)) return false
        failures[key] = message.lineSequence().first()
        write()
        return true
    }

    /** The user wants to try this combination again. */
    fun forget(model: String, runtime: String) {
        if (failures.remove(key(model, runtime)) != null) write()
    }

    private fun key(model: String, runtime: String) = "$runtime/$model"

    private fun write() {
        val lines = failures.map { it.key + SEPARATOR + it.value } + attempts
        FileOutputStream(file).use {
            it.write(lines.joinToString("\n").toByteArray())
            it.fd.sync() // a crash of the driver can end the device too
        }
    }

    private companion object {
        const val SEPARATOR = '\t'
    }
}
