package org.lvtmobile.app

import android.content.Context

/** What the user chose last, kept over restarts. */
class Memory(context: Context) {
    private val stored = context.getSharedPreferences("choice", Context.MODE_PRIVATE)

    var choice: Choice
        get() = Choice(
            stored.getString("model", null),
            stored.getString("runtime", null),
            stored.getInt("threads", Choice.DEFAULT_THREADS),
        )
        set(value) = stored.edit()
            .putString("model", value.model)
            .putString("runtime", value.runtime)
            .putInt("threads", value.threads)
            .apply()
}

/** Numbers of threads worth a try on a phone with so many cores. */
internal fun threadCounts(cores: Int): List<Int> = (listOf(1, 2, 4, 6, 8).filter { it < cores } + cores).distinct()
