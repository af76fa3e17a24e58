package org.lvtmobile.app

import org.lvtmobile.core.Runtime

/**
 * The model, runtime and number of threads that the user selected. A selected model or runtime may no
 * longer be available.
 *
 * @property model name of an artifact.
 * @property runtime name of a runtime.
 * @property threads number of threads, at least 1.
 */
data class RunSettings(val model: String? = null, val runtime: String? = null, val threads: Int = DEFAULT_THREADS) {
    /** Returns the selected artifact, else the first with a readable manifest, else the first; null if none. */
    fun selectEntry(entries: List<ModelEntry>): ModelEntry? =
        entries.find { it.name == model } ?: entries.find { it.manifestError == null } ?: entries.firstOrNull()

    /** Returns the selected runtime if it supports the artifact, else the first that does; null if none does. */
    fun selectRuntime(entry: ModelEntry, runtimes: List<Runtime>): Runtime? {
        val supported = runtimes.filter { it.target == entry.manifest?.target }
        return supported.find { it.name == runtime } ?: supported.firstOrNull()
    }

    /**
     * Returns the most telling other choice for a comparison: another artifact of the same task, else the same artifact
     * with another runtime; null if there is neither.
     */
    fun alternative(entries: List<ModelEntry>, runtimes: List<Runtime>): RunSettings? {
        val entry = selectEntry(entries) ?: return null
        val other = entries.find { it.name != entry.name && it.manifest != null && it.manifest.task == entry.manifest?.task }
        if (other != null) return copy(model = other.name, runtime = null)
        val current = selectRuntime(entry, runtimes)
        return runtimes.find { it.target == current?.target && it.name != current.name }
            ?.let { copy(model = entry.name, runtime = it.name) }
    }

    companion object {
        /** Most phones have at least four fast cores. */
        const val DEFAULT_THREADS: Int = 4
    }
}

/** Thread counts to offer on a device with [cores] cores. */
internal fun threadCounts(cores: Int): List<Int> = (listOf(1, 2, 4, 6, 8).filter { it < cores } + cores).distinct()
