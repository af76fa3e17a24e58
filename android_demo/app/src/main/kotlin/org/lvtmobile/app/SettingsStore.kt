package org.lvtmobile.app

import android.content.Context
import android.os.StrictMode

/** Stores the [RunSettings] across restarts of the app. Reads a file, so it must not be used on the main thread. */
class SettingsStore(context: Context) {
    init {
        StrictMode.noteSlowCall("settings")
    }

    private val preferences = context.getSharedPreferences("choice", Context.MODE_PRIVATE)

    var settings: RunSettings
        get() = RunSettings(
            preferences.getString("model", null),
            preferences.getString("runtime", null),
            preferences.getInt("threads", RunSettings.DEFAULT_THREADS),
        )
        set(value) = preferences.edit()
            .putString("model", value.model)
            .putString("runtime", value.runtime)
            .putInt("threads", value.threads)
            .apply()
}
